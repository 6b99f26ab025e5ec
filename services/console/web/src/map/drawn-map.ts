import { gatewayId } from '@spanmesh/proto/gateway-id';
import Sigma from 'sigma';
import type { StylesDeclaration } from 'sigma/types';
import { clusters, connections } from '../mirror.ts';
import { status } from '../status.ts';
import { MapModel, type MapPick } from './map-model.ts';

/** How near the camera goes to a thing that was found: the largest share of the map's width that is then visible. */
const NEAR = 0.25;
/** A step of the keyboard, as a share of the visible part. */
const STEP = 0.125;
/** The factor of a zoom step. */
const ZOOM = 1.5;
const MOVE_MS = 150;

/** The position of the camera: the middle, and the share of the whole that is visible, in sigma's units. */
interface Look {
  readonly x: number;
  readonly y: number;
  readonly ratio: number;
}

/** The map as it is drawn. */
export class DrawnMap {
  readonly #model = new MapModel();
  readonly #sigma: Sigma;
  /** The target of the camera's present movement: the next step starts from there. */
  #goal: Look | null = null;

  constructor(box: HTMLElement, pick: (pick: MapPick | null) => void) {
    this.update([]);
    const labelColor = getComputedStyle(box).color;
    this.#sigma = new Sigma(this.#model.graph, box, { settings: SETTINGS, styles: stylesOf(labelColor) });
    const point = (id: string | null): void => pick(this.#model.point(id));
    this.#sigma.on('enterNode', ({ node }) => point(node));
    this.#sigma.on('clickNode', ({ node }) => point(node));
    this.#sigma.on('leaveNode', () => point(null));
  }

  close(): void {
    this.#sigma.kill();
  }

  reset(): void {
    this.#look({ x: 0.5, y: 0.5, ratio: 1 });
  }

  zoomIn(): void {
    this.#look({ ...this.#at, ratio: this.#at.ratio / ZOOM });
  }

  zoomOut(): void {
    this.#look({ ...this.#at, ratio: this.#at.ratio * ZOOM });
  }

  /** Moves by so many steps to the right and upwards. */
  pan(right: number, up: number): void {
    const { x, y, ratio } = this.#at;
    this.#look({ x: x + right * STEP * ratio, y: y + up * STEP * ratio, ratio });
  }

  /** Highlights things with the text, in lower case, and pales the rest. @returns the number of things found */
  find(text: string): number {
    this.#model.find(text);
    return this.#model.found.length;
  }

  /** Goes to the nth thing that was found, counted round and round. @returns the thing; null: none was found */
  goTo(n: number): MapPick | null {
    const { found } = this.#model;
    const id = found[n % Math.max(1, found.length)];
    const place = id === undefined ? undefined : this.#sigma.getNodeDisplayData(id);
    if (id === undefined || place === undefined) return null;
    this.#look({ x: place.x, y: place.y, ratio: Math.min(this.#at.ratio, NEAR) });
    return this.#model.point(id);
  }

  /** Shows the present state. `trunks`: ids of the gateways at both ends. */
  update(trunks: readonly (readonly [string, string])[]): void {
    const gateways = status.value?.topology.gateways.map(gatewayId) ?? [];
    this.#model.update({ gateways, connections, clusters, trunks });
  }

  get #at(): Look {
    return this.#goal ?? this.#sigma.getCamera().getState();
  }

  #look(goal: Look): void {
    this.#goal = goal;
    const camera = this.#sigma.getCamera();
    void camera.animate({ ...goal }, { duration: MOVE_MS }).then(() => {
      if (this.#goal === goal) this.#goal = null;
    });
  }
}

const SETTINGS = {
  allowInvalidContainer: true,
  itemSizesReference: 'screen',
  labelDensity: 0.7,
  labelRenderedSizeThreshold: 5,
  hideEdgesOnMove: true,
  enableCameraRotation: false,
  gestureTarget: 'graph',
} as const;

function stylesOf(labelColor: string): StylesDeclaration {
  return {
    nodes: [
      {
        x: { attribute: 'x' },
        y: { attribute: 'y' },
        size: { attribute: 'size' },
        color: { attribute: 'color' },
        label: { attribute: 'label' },
        labelColor,
        labelVisibility: { attribute: 'labels' },
        zIndex: { attribute: 'level' },
      },
    ],
    edges: [{ size: { attribute: 'size' }, color: { attribute: 'color' } }],
  };
}
