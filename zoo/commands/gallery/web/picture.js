// A picture from a file; its value is a data URL of the file's own bytes.
const image = element.querySelector("img"), note = element.querySelector(".note"), LARGEST = 20 * 2 ** 20;
const show = (name) => {
  image.hidden = !props.value;
  if (!props.value) return;
  image.src = props.value;
  image.alt = name;
  note.textContent = name;
};
element.querySelector("input").addEventListener("change", (event) => {
  const file = event.target.files[0];
  event.target.value = "";
  if (!file) return;
  if (file.size > LARGEST) { note.textContent = "The file is larger than 20 MB."; return; }
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    props.value = reader.result;
    show(`The file ${file.name}.`);
    trigger("input");
  });
  reader.readAsDataURL(file);
});
watch("value", () => { if (image.getAttribute("src") !== props.value) show("An example."); });
show("An example.");
