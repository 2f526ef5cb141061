
const BLINK_MS = 700;
const NOT_TYPED_IN = (target) => !target.closest("input:not([type=range]), textarea, select");

function look() {
  const viewer = element.querySelector(".viewer");
  if (!viewer || viewer.dataset.alive) return;
  viewer.dataset.alive = "yes";
  const stage = viewer.querySelector(".stage");
  const divider = viewer.querySelector(".divider");
  const sides = Object.fromEntries([...viewer.querySelectorAll("select[data-side]")].map((one) => [one.dataset.side, one]));
  const view = viewer.querySelector("select[data-view]");
  const map = viewer.querySelector("[data-map]");

  function move() {
    stage.style.setProperty("--at", `${divider.value}%`);
    const [left, right] = ["left", "right"].map((side) => sides[side].selectedOptions[0].text);
    divider.setAttribute("aria-valuetext", `${divider.value} % ${left}, the rest ${right}`);
  }

  function show() {
    for (const side of ["left", "right"]) {
      const chosen = sides[side].selectedOptions[0];
      const image = stage.querySelector(`.${side} .top`);
      if (image.getAttribute("src") !== chosen.dataset.address) image.src = chosen.dataset.address;
      image.alt = chosen.text;
      image.classList.toggle("blended", "blended" in chosen.dataset);
      stage.querySelector(`.${side} figcaption`).textContent = chosen.text;
    }
    move();
  }

  function arrange() {
    viewer.dataset.shown = view.value;
    divider.disabled = view.value !== "slider";
    clearInterval(element.blinking);
    stage.classList.remove("second");
    if (view.value === "blink")
      element.blinking = setInterval(() => stage.isConnected && stage.classList.toggle("second"), BLINK_MS);
  }

  const fade = () => map && stage.style.setProperty("--map", map.value / 100);

  divider.addEventListener("input", move);
  for (const one of Object.values(sides)) one.addEventListener("change", show);
  view.addEventListener("change", arrange);
  map?.addEventListener("input", fade);
  viewer.addEventListener("keydown", (event) => {
    if (event.key !== "b" || event.ctrlKey || event.metaKey || event.altKey || !NOT_TYPED_IN(event.target)) return;
    clearInterval(element.blinking); // by hand from here on
    if (view.value !== "blink") {
      view.value = "blink";
      arrange();
      clearInterval(element.blinking);
    }
    stage.classList.toggle("second");
  });
  show();
  arrange();
  fade();
  zoomTogether(viewer);
}

look();
watch("value", look);
