import { describe, expect, it } from 'vitest';
import { rendezvous } from './rendezvous.ts';

const GATEWAYS = ['gw1', 'gw2', 'gw3', 'gw4'];
const KEYS = Array.from({ length: 400 }, (_, n) => `media ${n}/slot ${n % 256}`);
const choose = (key: string, candidates: readonly string[]) => rendezvous(key, candidates, (name) => name);

describe('the gateway that a target is connected from', () => {
  it('is null without gateways, and the single gateway if there is one only', () => {
    expect(choose('a', [])).toBeNull();
    expect(choose('a', ['gw1'])).toBe('gw1');
  });

  it('is the same for every replica, whatever the order of the gateways', () => {
    const chosen = KEYS.map((key) => choose(key, GATEWAYS));
    expect(KEYS.map((key) => choose(key, GATEWAYS.toReversed()))).toEqual(chosen);
    // The choices must be the same in every version: otherwise two replicas of different versions would dial one target
    // twice.
    const shown = KEYS.slice(0, 64).map((key) => GATEWAYS.indexOf(choose(key, GATEWAYS) ?? ''));
    expect(shown.join('')).toBe('1310031020323313100011321313311322002130120111211000210333310232');
  });

  it('of two with the same name is the second one only if it ranks higher', () => {
    const [one, other] = [{ name: 'gw' }, { name: 'gw' }];
    expect(rendezvous('a', [one, other], ({ name }) => name)).toBe(one);
  });

  it('is each gateway for about the same share of targets', () => {
    const shares = new Map<string, number>();
    for (const key of KEYS) shares.set(choose(key, GATEWAYS)!, (shares.get(choose(key, GATEWAYS)!) ?? 0) + 1);
    for (const share of shares.values()) expect(Math.abs(share - 100)).toBeLessThan(35);
    expect(shares.size).toBe(4);
  });

  it('changes only for the targets of a gateway that goes, or that a new gateway takes', () => {
    const without = GATEWAYS.filter((name) => name !== 'gw2');
    for (const key of KEYS) {
      const chosen = choose(key, GATEWAYS);
      if (chosen !== 'gw2') expect(choose(key, without)).toBe(chosen);
    }
  });
});
