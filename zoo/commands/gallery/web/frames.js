() => {
  // A frame says how high its page is, and becomes as high; it can say nothing else.
  window.addEventListener("message", (event) => {
    const frame = [...document.querySelectorAll("iframe")].find((each) => each.contentWindow === event.source);
    const height = Number(event.data && event.data.height);
    if (frame && height > 0) frame.style.height = `${Math.min(height + 8, 6000)}px`;
  });
}
