// The page in a browser of its own: what a notebook's widget does, by asking `wsis label`.

const token = new URLSearchParams(location.search).get("token") ?? "";
const ask = async (path, options = {}) => {
  const answer = await fetch(path, { ...options, headers: { "X-Token": token, "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer;
};
const held = { view: null, files: [], picture: new DataView(new ArrayBuffer(0)) };
const listeners = { "change:view": new Set(), "change:picture": new Set() };
const tell = (event) => listeners[event].forEach((act) => act());
let turn = Promise.resolve(); // one message after another

async function take(view) {
  const other = held.view?.image !== view.image;
  let picture = null;
  if (other) {
    const read = view.width ? await (await ask(`picture/${view.index}`)).arrayBuffer() : new ArrayBuffer(0);
    picture = new DataView(read);
  }
  held.view = view;
  if (picture) held.picture = picture;
  if (picture && listeners["change:picture"].size) tell("change:picture");
  tell("change:view");
}

async function post(message) {
  try {
    const answer = await ask("message", { method: "POST", body: JSON.stringify(message) });
    await take((await answer.json()).view);
  } catch (error) {
    const said = `Not saved: \`wsis label\` does not answer (${error.message}). Start it again and open the address that it prints; all that was done before this is in the file.`;
    held.view = { ...held.view, message: said };
    tell("change:view");
  }
}

const model = {
  get: (name) => held[name],
  on: (event, act) => listeners[event].add(act),
  off: (event, act) => listeners[event].delete(act),
  send: (message) => { turn = turn.then(() => post(message)); },
  thumbnail: async (index) => {
    try {
      return URL.createObjectURL(await (await ask(`thumbnail/${index}`)).blob());
    } catch {
      return ""; // the image itself says what is wrong with it
    }
  },
};

const begin = await (await ask("begin")).json();
held.files = begin.files;
await take(begin.view);
render({ model, el: document.getElementById("place") });
document.querySelector(".wsis-label").focus();
