// Browsers start no web worker for a page that is opened from a disk, so the search would not work
// there. This takes the place of a worker: the script runs in a hidden frame. The theme's search looks
// for the name IFrameWorker.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      this.inner = frame.contentWindow;
      this.inner.reply = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.inner.started = () => {
        this.waiting.forEach((data) => this.send(data));
        this.waiting = null;
      };
      const page = this.inner.document;
      page.open();
      page.write(`<script>
        postMessage = (data) => reply(data);
        importScripts = (...urls) => urls.reduce((before, src) => before.then(() => new Promise((done) => {
          const script = document.createElement("script");
          script.src = src;
          script.onload = done;
          document.body.appendChild(script);
        })), Promise.resolve());
      <\/script><body><script src="${url}" onload="started()"><\/script></body>`);
      page.close();
    }
    send(data) {
      this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data }));
    }
    postMessage(data) {
      if (this.waiting) {
        this.waiting.push(data);
      } else {
        this.send(data);
      }
    }
  };
  window.Worker = window.IFrameWorker;
}
