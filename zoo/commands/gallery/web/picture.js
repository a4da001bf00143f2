// A picture from a file; its value is a data URL of the file's own bytes.
const image = element.querySelector("img"), note = element.querySelector(".note"), LARGEST = 20 * 2 ** 20;
element.querySelector("input").addEventListener("change", (event) => {
  const file = event.target.files[0];
  event.target.value = "";
  if (!file) return;
  if (file.size > LARGEST) { note.textContent = "The file is larger than 20 MB."; return; }
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    image.src = reader.result;
    image.alt = file.name;
    image.hidden = false;
    note.textContent = `The file ${file.name}.`;
    props.value = reader.result;
    trigger("input");
  });
  reader.readAsDataURL(file);
});
