// A picture in the clipboard becomes the chosen file.
addEventListener("paste", async (event) => {
  const file = event.clipboardData.files[0];
  if (!file) return;
  const input = () => document.querySelector("#photo input[type=file]");
  if (!input()) document.querySelector("#photo button[aria-label=Clear]")?.click();
  for (let wait = 0; !input() && wait < 20; wait++) await new Promise((ready) => setTimeout(ready, 25));
  if (!input()) return;
  const files = new DataTransfer();
  files.items.add(file);
  input().files = files.files;
  input().dispatchEvent(new Event("change", { bubbles: true }));
});
