/*
 * Uploads files over a WebSocket: the protocol of `bytestreams upload-server`, and of servers for the
 * older class WebSocketFileTransfer. A module without dependencies:
 *
 *   import { upload } from "./upload.js";
 *   const { filename } = await upload(file, { url: "wss://example.org/upload" });
 *
 * MIT or Apache-2.0, at your choice.
 */

/** Octets of a block towards a server that announces none. */
const BLOCK = 16 * 1024;

/** Octets that are read from the file at a time. */
const PIECE = 1024 * 1024;

/** An upload that failed: `code` is the server's, or 0 where the server said none. */
export class UploadError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "UploadError";
    this.code = code;
  }
}

/**
 * Uploads a File or Blob and gives a promise of `{ filename, size }`: the name that the file got, where
 * the server says so. It is rejected with an UploadError, or with the signal's reason.
 *
 * Options: `url` (ws: or wss:, needed), `name` (the file's by default), `type` ("binary" or "base64"),
 * `login` and `password`, `parameters` (anything JSON has), `blockSize` and `window` (at most these),
 * `signal` (an AbortSignal), `onstart()` once the server takes the file, and `onprogress(stored, size)`.
 */
export function upload(file, options) {
  return new Promise((resolve, reject) => new Upload(file, options, resolve, reject));
}

class Upload {
  constructor(file, options, resolve, reject) {
    const { signal } = options;
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    Object.assign(this, { file, options, resolve, reject });
    this.type = options.type ?? "binary";
    this.phase = "connecting";
    this.window = 1;
    this.block = options.blockSize ?? BLOCK;
    this.sent = 0;
    this.stored = 0;
    this.unanswered = [];
    this.piece = new Uint8Array(0);
    this.read = 0;
    this.aborted = () => this.end(() => reject(signal.reason));
    signal?.addEventListener("abort", this.aborted);
    try {
      this.socket = new WebSocket(options.url);
    } catch {
      this.fail(0, "The address of the server is wrong.");
      return;
    }
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.answered(event.data);
    this.socket.onclose = (event) => this.closed(event);
  }

  opened() {
    const { login, password } = this.options;
    if (login != null && password != null) {
      this.phase = "AUTH";
      this.socket.send("AUTH: " + JSON.stringify({ login, password }));
    } else {
      this.ask();
    }
  }

  ask() {
    this.phase = "STOR";
    this.socket.send(
      "STOR: " +
        JSON.stringify({
          filename: this.options.name ?? this.file.name ?? "file",
          size: this.file.size,
          type: this.type,
          parameters: this.options.parameters ?? [],
        }),
    );
  }

  answered(text) {
    let answer;
    try {
      answer = JSON.parse(text);
    } catch {
      this.fail(0, "The server does not speak this protocol.");
      return;
    }
    if (answer.code !== 200) {
      this.fail(answer.code ?? 0, answer.message || `The server refused with ${answer.code}.`);
    } else if (answer.type !== this.phase) {
      this.fail(0, "The server answered what was not asked.");
    } else if (answer.type === "AUTH") {
      this.ask();
    } else if (answer.type === "STOR") {
      const { window, block } = answer.bytestreams ?? {};
      if (window > 0 && block > 0) {
        this.window = Math.min(window, this.options.window ?? window);
        this.block = Math.min(block, this.options.blockSize ?? block);
      }
      this.phase = "DATA";
      this.options.onstart?.();
      this.pump();
    } else {
      this.acknowledged(answer);
    }
  }

  acknowledged(answer) {
    const octets = this.unanswered.shift();
    if (octets === undefined) {
      this.fail(0, "The server answered what was not asked.");
      return;
    }
    if (answer.bytesRead !== undefined && answer.bytesRead !== octets) {
      this.fail(0, `The server read ${answer.bytesRead} bytes of a block of ${octets}.`);
      return;
    }
    this.stored += octets;
    this.options.onprogress?.(this.stored, this.file.size);
    if (this.stored === this.file.size && this.unanswered.length === 0) {
      const filename = answer.bytestreams?.filename;
      this.end(() => this.resolve({ filename, size: this.stored }));
    } else {
      this.pump();
    }
  }

  /** Sends blocks as long as the window has room. */
  async pump() {
    if (this.pumping) {
      return;
    }
    this.pumping = true;
    try {
      while (this.phase === "DATA" && this.unanswered.length < this.window && this.isLeft()) {
        const block = await this.next();
        if (this.phase !== "DATA") {
          return;
        }
        this.unanswered.push(block.length);
        this.sent += block.length;
        this.began = true;
        this.socket.send(this.type === "base64" ? base64(block) : block);
      }
    } catch {
      this.fail(0, "The file cannot be read, or was changed meanwhile.");
    } finally {
      this.pumping = false;
    }
  }

  /** An empty file is one empty block. */
  isLeft() {
    return this.sent < this.file.size || (this.file.size === 0 && !this.began);
  }

  async next() {
    const length = Math.min(this.block, this.file.size - this.sent);
    if (this.piece.length < length) {
      const end = Math.min(this.read + Math.max(PIECE, length), this.file.size);
      const more = new Uint8Array(await this.file.slice(this.read, end).arrayBuffer());
      this.read = end;
      if (this.piece.length > 0) {
        const both = new Uint8Array(this.piece.length + more.length);
        both.set(this.piece);
        both.set(more, this.piece.length);
        this.piece = both;
      } else {
        this.piece = more;
      }
      if (this.piece.length < length) {
        throw new Error("the file is shorter than it was");
      }
    }
    const block = this.piece.subarray(0, length);
    this.piece = this.piece.subarray(length);
    return block;
  }

  closed(event) {
    if (this.phase === "connecting") {
      this.fail(0, "The server cannot be reached.");
    } else {
      const why = event.reason ? `: ${event.reason}` : "";
      this.fail(0, `The connection was lost before the end${why}.`);
    }
  }

  fail(code, message) {
    this.end(() => this.reject(new UploadError(code, message)));
  }

  end(settle) {
    if (this.phase === "over") {
      return;
    }
    this.phase = "over";
    this.piece = null;
    this.options.signal?.removeEventListener("abort", this.aborted);
    this.socket?.close();
    settle();
  }
}

function base64(octets) {
  if (octets.toBase64) {
    return octets.toBase64();
  }
  let text = "";
  for (let at = 0; at < octets.length; at += 0x8000) {
    text += String.fromCharCode(...octets.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
