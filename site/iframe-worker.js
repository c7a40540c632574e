// A page that is opened from a folder may start no worker. A frame runs the worker's script there, so that the site can
// be searched without a server.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(source) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = "<!doctype html><body>";
      const inside = new Promise((ready) => {
        frame.addEventListener("load", () => {
          const { contentDocument, contentWindow } = frame;
          contentWindow.postMessage = (data) => setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
          const script = contentDocument.createElement("script");
          script.src = source;
          script.addEventListener("load", () => ready(contentWindow));
          contentDocument.body.append(script);
        }, { once: true });
      });
      this.postMessage = (data) => inside.then((frame) => frame.dispatchEvent(new frame.MessageEvent("message", { data })));
      document.body.append(frame);
    }
  };
}
