// Stands in for the browser class WebSocketFileTransfer of 2012, which is not part of this tree: written
// anew from what it says and expects on the wire, and from what it does with the browser. It reads
// slices through `File.prototype.webkitSlice`, which a page must alias today, encodes what FileReader
// reads as a binary string, sends the next block only when one is answered, and sends a Blob as it is
// where the type is binary.
"use strict";

File.prototype.slice = function (start, end) {
  return this.webkitSlice(start, end);
};

class ClassicTransfer {
  constructor(options) {
    this.options = { blockSize: 1024, type: "base64", ...options };
    this.index = 0;
  }

  start(login, password) {
    const withLogin = login !== undefined && password !== undefined;
    this.socket = new WebSocket(this.options.url);
    if (this.options.type === "binary") {
      this.socket.binaryType = "blob";
    }
    this.socket.onopen = () => {
      if (withLogin) {
        this.socket.send("AUTH: " + JSON.stringify({ login, password }));
      } else {
        this.ask();
      }
    };
    this.socket.onerror = (event) => this.fail(event);
    this.socket.onmessage = (event) => this.heard(JSON.parse(event.data));
  }

  ask() {
    const { file, type } = this.options;
    const infos = { filename: file.name, size: file.size, type, parameters: [] };
    this.socket.send("STOR: " + JSON.stringify(infos));
  }

  heard(response) {
    const { file, blockSize, progress, success } = this.options;
    if (response.code != 200) {
      this.fail({ message: response.message, code: response.code });
    } else if (response.type === "AUTH") {
      this.ask();
    } else if (response.type === "STOR") {
      this.send(0);
    } else if (response.type === "DATA") {
      const loaded = this.index + response.bytesRead;
      const event = { loaded, total: file.size };
      setTimeout(() => progress?.(event), 0);
      if (this.last) {
        setTimeout(() => success?.(event), 0);
        this.socket.close();
      } else {
        this.send(this.index + blockSize);
      }
    } else {
      this.fail({ message: "Response not understood", code: 0 });
    }
  }

  fail(error) {
    this.socket.close();
    this.options.error?.(error);
  }

  send(start) {
    const { file, blockSize, type } = this.options;
    const end = Math.min(start + blockSize, file.size);
    this.index = start;
    this.last = end === file.size;
    const blob = file.slice(start, end);
    if (blob.size !== end - start) {
      throw new Error(`a slice of ${blob.size} instead of ${end - start}`);
    }
    if (type === "binary") {
      this.socket.send(blob);
      return;
    }
    const reader = new FileReader();
    reader.onloadend = (event) => this.socket.send(btoa(event.target.result));
    reader.readAsBinaryString(blob);
  }
}

window.ClassicTransfer = ClassicTransfer;
