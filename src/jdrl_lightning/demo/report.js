"use strict";
document.documentElement.classList.add("scripted");

const picture = (frame, key) =>
  [...document.querySelectorAll(`[data-example="${frame}"] img[data-key]`)].find((one) => one.dataset.key === key);

function slide(slider) {
  const divider = slider.querySelector(".divider");
  const chosen = Object.fromEntries([...slider.querySelectorAll("select")].map((one) => [one.dataset.side, one]));
  const stage = slider.querySelector(".stage");

  function move() {
    stage.style.setProperty("--at", `${divider.value}%`);
    const [left, right] = ["left", "right"].map((side) => chosen[side].selectedOptions[0].text);
    divider.setAttribute("aria-valuetext", `${divider.value} % ${left}, the rest ${right}`);
  }

  function show() {
    for (const side of ["left", "right"]) {
      const from = picture(chosen.frame.value, chosen[side].value);
      const figure = stage.querySelector(`.${side}`);
      const shown = figure.querySelector("img");
      for (const name of ["src", "alt", "width", "height"]) shown.setAttribute(name, from.getAttribute(name));
      figure.querySelector("figcaption").textContent = chosen[side].selectedOptions[0].text;
    }
    move();
  }

  divider.addEventListener("input", move);
  for (const one of Object.values(chosen)) one.addEventListener("change", show);
  show();
}

document.querySelectorAll(".slider").forEach(slide);
document.querySelectorAll(".example").forEach(zoomTogether);
