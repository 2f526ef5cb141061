// What an example shows: the frame's point (x, y), in shares of its size, in the middle of every view, zoom times as large.
function zoomTogether(example) {
  const MOST = 16, STEP = 2, NUDGE = 0.15;
  const together = example.querySelector(".together");
  const output = example.querySelector("output");
  const fingers = new Map();
  let zoom = 1, x = 0.5, y = 0.5;

  const within = (value) => Math.min(1 - 0.5 / zoom, Math.max(0.5 / zoom, value));

  function look(newX, newY) {
    [x, y] = [within(newX), within(newY)];
    together.style.setProperty("--zoom", zoom);
    together.style.setProperty("--x", `${100 * (0.5 - x * zoom)}%`);
    together.style.setProperty("--y", `${100 * (0.5 - y * zoom)}%`);
    together.classList.toggle("magnified", zoom > 1);
    output.textContent = `${Number(zoom.toFixed(1))}×`;
  }

  // Around the point (u, v) of a view, in shares of its size, which stays where it is. Whether anything changed.
  function scale(factor, u = 0.5, v = 0.5) {
    const before = zoom;
    const [atX, atY] = [x + (u - 0.5) / zoom, y + (v - 0.5) / zoom];
    zoom = Math.min(MOST, Math.max(1, zoom * factor));
    if (zoom < 1.01) zoom = 1;
    look(atX - (u - 0.5) / zoom, atY - (v - 0.5) / zoom);
    return zoom !== before;
  }

  function actual() {
    const image = together.querySelector("img");
    scale(image.naturalWidth / image.clientWidth / devicePixelRatio / zoom);
  }

  const pan = (u, v) => look(x - u / zoom, y - v / zoom);
  const actions = { in: () => scale(STEP), out: () => scale(1 / STEP), whole: () => scale(0), actual };
  for (const button of example.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", actions[button.dataset.zoom]);

  const keys = {
    "+": actions.in, "=": actions.in, "-": actions.out, "0": actions.whole, "1": actions.actual,
    ArrowLeft: () => pan(NUDGE, 0), ArrowRight: () => pan(-NUDGE, 0),
    ArrowUp: () => pan(0, NUDGE), ArrowDown: () => pan(0, -NUDGE),
  };
  together.tabIndex = 0;
  together.addEventListener("keydown", (event) => {
    const moves = event.key.startsWith("Arrow");
    if (event.target !== together || !(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey || (moves && zoom === 1)) return;
    event.preventDefault();
    keys[event.key]();
  });

  function place(event, view) {
    const box = view.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  for (const view of together.querySelectorAll(".view")) {
    view.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== together) return;
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30);
      const changed = scale(Math.exp(-Math.max(-100, Math.min(100, pixels)) / 250), ...place(event, view));
      if (changed || event.ctrlKey) event.preventDefault();
    }, { passive: false });
    view.addEventListener("pointerdown", (event) => {
      view.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, place(event, view));
    });
    view.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.get(event.pointerId);
      const now = place(event, view);
      fingers.set(event.pointerId, now);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
        scale(apart(now) / Math.max(apart(before), 0.01), ...other);
      } else pan(now[0] - before[0], now[1] - before[1]);
    });
    for (const end of ["pointerup", "pointercancel"])
      view.addEventListener(end, (event) => fingers.delete(event.pointerId));
    view.addEventListener("dragstart", (event) => event.preventDefault());
  }
  look(0.5, 0.5);
}
