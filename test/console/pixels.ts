import type { Locator, Page } from 'playwright-core';

/** The middle of all pixels of one colour, px from the left and the top; `pixels`: their number. */
export interface Patch {
  readonly x: number;
  readonly y: number;
  readonly pixels: number;
}

/**
 * Source of a function for the browser: the middle of all pixels of an image that have a colour, each channel up to 8
 * off.
 */
const FIND = `async ({ image, colour }) => {
  const picture = new Image();
  picture.src = 'data:image/png;base64,' + image;
  await picture.decode();
  const { width, height } = picture;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let [x, y, pixels] = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) {
    if (colour.some((value, channel) => Math.abs(data[at + channel] - value) > 8)) continue;
    x += (at / 4) % width;
    y += Math.floor(at / 4 / width);
    pixels++;
  }
  return { x: x / pixels, y: y / pixels, pixels };
}`;

/**
 * Finds a colour (`#1f5fbf`) in the picture of an element. `by`: an empty page in which the picture is examined,
 * because the policy of the element's page does not allow images from elsewhere.
 */
export async function patchOf(element: Locator, colour: string, by: Page): Promise<Patch> {
  const image = (await element.screenshot()).toString('base64');
  const channels = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return (await by.evaluate(`(${FIND})(${JSON.stringify({ image, colour: channels })})`)) as Patch;
}
