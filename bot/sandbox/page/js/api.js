// The control API of the sandbox (bot/sandbox/control.py).

async function call(method, path, body) {
  const json = body !== undefined && !(body instanceof FormData);
  const answer = await fetch(`control/${path}`, {
    method,
    body: json ? JSON.stringify(body) : body,
    headers: json ? { "Content-Type": "application/json" } : {},
  });
  const given = await answer.json();
  if (!answer.ok) throw new Error(given.error ?? `It answered ${answer.status}.`);
  return given;
}

const get = (path) => call("GET", path);
const post = (path, body = {}) => call("POST", path, body);

export const api = {
  state: () => get("state"),
  messages: async (chatId) => (await get(`chats/${chatId}/messages`)).messages,
  commands: async (chatId, personId) =>
    (await get(`chats/${chatId}/commands?person_id=${personId}`)).commands,

  send: (chatId, personId, text, replyTo) =>
    post(`chats/${chatId}/send`, { person_id: personId, text, reply_to: replyTo ?? null }),

  /** Send a picture as a photo, or any file `asFile`. */
  upload(chatId, personId, file, caption, replyTo, asFile) {
    const form = new FormData();
    form.set("person_id", personId);
    form.set("caption", caption);
    form.set("reply_to", replyTo ?? "");
    form.set("file", file, file.name || "picture.png");
    return post(`chats/${chatId}/${asFile ? "document" : "photo"}`, form);
  },

  /** Press a button; comes back when the bot has answered: {answered, text, alert, url}. */
  press: (chatId, personId, messageId, data) =>
    post(`chats/${chatId}/press`, { person_id: personId, message_id: messageId, data }),

  addPerson: (person) => post("people", person),
  changePerson: (id, changes) => post(`people/${id}`, changes),
  addGroup: (title, members) => post("groups", { title, members }),

  fal: () => get("fal"),
  changeFal: (changes) => post("fal", changes),
  act: (requestId, act) => post(`fal/requests/${requestId}/${act}`),
  order: (fault) => post("faults", fault),
};

/** Call `onEvent` with every event of the sandbox, `onLost` when it cannot be reached. */
export function listen(onEvent, onLost) {
  const source = new EventSource("control/events");
  source.onmessage = (event) => onEvent(JSON.parse(event.data));
  source.onerror = () => {
    onLost();
    // Chromium gives up by itself if the connection was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(onEvent, onLost), 1500);
  };
}
