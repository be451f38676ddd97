/** Where a point of the map lies on the screen, in CSS pixels of the sky. */

export interface View {
  width: number;
  height: number;
  scaleX: number;
  scaleY: number;
  shiftX: number;
  shiftY: number;
}

/** From the camera's column-major 4×4 matrix; the camera never rotates. */
export function viewOf(matrix: ArrayLike<number>, width: number, height: number): View {
  const aspect = width / height;
  const at = (index: number) => matrix[index] ?? 0;
  return {
    width,
    height,
    scaleX: (at(0) / aspect) * (width / 2),
    scaleY: -at(5) * (height / 2),
    shiftX: (at(12) / aspect + 1) * (width / 2),
    shiftY: (1 - at(13)) * (height / 2),
  };
}

export function project(view: View, x: number, y: number): [number, number] {
  return [view.shiftX + view.scaleX * x, view.shiftY + view.scaleY * y];
}

/** Sizes a canvas to its box at the device's resolution and returns its cleared context. */
export function freshContext(canvas: HTMLCanvasElement, view: View): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(view.width * ratio);
  const height = Math.round(view.height * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser has no 2D canvas");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  return context;
}
