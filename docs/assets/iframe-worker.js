// Browsers refuse workers to pages opened from disk, and the search of these pages is a worker: run it in a hidden
// frame there. (The theme would load such a script from the network.) Messages go in one by one, each when the one
// before is answered: a word typed while the index is still being built would otherwise be lost.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      const load = source => new Promise((done, failed) => {
        const script = Object.assign(inside.document.createElement("script"), { src: source, onload: done, onerror: failed });
        inside.document.body.append(script);
      });
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
      this.idle = load(url);
    }

    postMessage(data) {
      const inside = this.frame.contentWindow;
      this.idle = this.idle.then(() => new Promise(answered => {
        this.addEventListener("message", answered, { once: true });
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      }));
    }

    terminate() { this.frame.remove(); }
  };
}
