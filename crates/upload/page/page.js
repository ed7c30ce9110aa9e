import { upload } from "./upload.js";

/** Uploads at a time; the others wait. */
const AT_ONCE = 3;

/** Seconds over which the speed is measured. */
const SPAN = 4;

const byId = (id) => document.getElementById(id);
const [login, drop, files, list, news, summary] = ["login", "drop", "files", "uploads", "news", "summary"].map(byId);

const url = new URL("upload", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const waiting = [];
let running = 0;

class Row {
  constructor(file) {
    this.file = file;
    this.item = byId("row").content.firstElementChild.cloneNode(true);
    const part = (name) => this.item.querySelector(name);
    this.bar = part("progress");
    this.state = part(".state");
    this.stop = part(".stop");
    this.again = part(".again");
    part(".name").textContent = file.name;
    part(".size").textContent = size(file.size);
    this.bar.setAttribute("aria-label", file.name);
    this.stop.onclick = () => (this.abort ? this.abort.abort() : this.remove());
    this.again.onclick = () => this.wait();
    list.append(this.item);
    this.wait();
  }

  wait() {
    this.item.className = "";
    this.bar.value = 0;
    this.state.textContent = "Waiting";
    this.again.hidden = true;
    this.label("Cancel");
    waiting.push(this);
    next();
  }

  async start() {
    this.abort = new AbortController();
    this.state.textContent = "Connecting";
    this.marks = [];
    const credentials = login.hidden ? {} : { login: byId("user").value, password: byId("password").value };
    try {
      const { filename } = await upload(this.file, {
        url: url.href,
        ...credentials,
        signal: this.abort.signal,
        onstart: () => this.progress(0),
        onprogress: (stored) => this.progress(stored),
      });
      this.bar.value = 1;
      const renamed = filename && filename !== this.file.name;
      this.finish("done", renamed ? `Done, as ${filename}` : "Done");
    } catch (error) {
      if (this.abort.signal.aborted) {
        this.finish("cancelled", "Cancelled");
      } else {
        this.finish("failed", sentence(error.message));
        if (error.code === 401) {
          login.hidden = false;
          byId("user").focus();
        }
      }
    }
  }

  progress(stored) {
    const now = performance.now() / 1000;
    const total = this.file.size;
    const last = this.marks.at(-1);
    if (last && now - last.at < 0.1 && stored < total) {
      return;
    }
    this.marks.push({ at: now, stored });
    while (this.marks.length > 2 && now - this.marks[0].at > SPAN) {
      this.marks.shift();
    }
    this.bar.value = total ? stored / total : 0;
    const [first] = this.marks;
    const speed = now > first.at ? (stored - first.stored) / (now - first.at) : 0;
    const parts = [`${size(stored)} of ${size(total)}`];
    if (speed > 0) {
      parts.push(`${size(speed)}/s`, `${time((total - stored) / speed)} left`);
    }
    this.state.textContent = parts.join(" · ");
  }

  finish(kind, words) {
    this.abort = null;
    this.item.className = kind;
    this.state.textContent = words;
    this.again.hidden = kind === "done";
    this.label("Remove");
    news.textContent = `${this.file.name}: ${words}`;
    running -= 1;
    next();
  }

  label(words) {
    this.stop.textContent = words;
    this.stop.setAttribute("aria-label", `${words} ${this.file.name}`);
    this.again.setAttribute("aria-label", `Try ${this.file.name} again`);
  }

  remove() {
    const at = waiting.indexOf(this);
    if (at >= 0) {
      waiting.splice(at, 1);
    }
    // The keyboard's place must not get lost with the button.
    const near = this.item.nextElementSibling ?? this.item.previousElementSibling;
    (near?.querySelector(".stop") ?? files).focus();
    this.item.remove();
    summary.hidden = list.childElementCount === 0;
  }
}

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    running += 1;
    waiting.shift().start();
  }
}

function add(chosen) {
  for (const file of chosen) {
    new Row(file);
  }
  summary.hidden = list.childElementCount === 0;
}

function size(octets) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (octets >= 999.5 && unit < units.length - 1) {
    octets /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || octets >= 99.95 ? 0 : 1;
  const number = octets.toFixed(digits);
  return `${number} ${number === "1" && unit === 0 ? "byte" : units[unit]}`;
}

function time(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function sentence(text) {
  const words = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

files.onchange = () => {
  add(files.files);
  // The same file can be chosen again.
  files.value = "";
};

let inside = 0;
addEventListener("dragenter", (event) => {
  event.preventDefault();
  inside += 1;
  drop.classList.add("over");
});
addEventListener("dragleave", () => {
  inside -= 1;
  drop.classList.toggle("over", inside > 0);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  drop.classList.remove("over");
  // A folder is no file, and reading it would fail without saying why.
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
  add(items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile()));
  if (folders > 0) {
    news.textContent = "Folders cannot be uploaded.";
  }
});

addEventListener("beforeunload", (event) => {
  if (running > 0 || waiting.length > 0) {
    event.preventDefault();
  }
});

login.onsubmit = (event) => event.preventDefault();

byId("clear").onclick = () => {
  for (const item of list.querySelectorAll(".done, .failed, .cancelled")) {
    item.remove();
  }
  summary.hidden = list.childElementCount === 0;
  files.focus();
};

try {
  const options = await (await fetch("options.json")).json();
  login.hidden = !options.login;
  if (options.maxSize != null) {
    byId("most").textContent = `Up to ${size(options.maxSize)} each`;
  }
} catch {
  // The uploads will tell what is wrong.
}
