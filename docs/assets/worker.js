// Search runs in a worker. A page that is opened from the disk may start none, so there the worker's
// script runs in a hidden frame, and messages go to and fro as they would.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      const begin = () => {
        document.body.append(this.frame);
        const inside = this.frame.contentWindow;
        inside.postMessage = (data) => this.receive(data);
        const script = inside.document.createElement("script");
        script.src = new URL(url, document.baseURI).href;
        script.onload = () => {
          const held = this.waiting;
          this.waiting = null;
          for (const data of held) this.postMessage(data);
        };
        inside.document.body.append(script);
      };
      if (document.body) begin();
      else document.addEventListener("DOMContentLoaded", begin);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else setTimeout(() => this.frame.contentWindow.onmessage?.(new MessageEvent("message", { data })));
    }

    receive(data) {
      setTimeout(() => {
        const event = new MessageEvent("message", { data });
        this.onmessage?.(event);
        this.dispatchEvent(new MessageEvent("message", { data }));
      });
    }

    terminate() {
      this.frame.remove();
    }
  };
}
