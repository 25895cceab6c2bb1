// The page of the chat: it enters a room over a WebSocket, shows what is said in it, and says what is typed.

const find = (id) => document.getElementById(id);
let socket;

find("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = find("room").value;
  const address = new URL(`rooms/${room}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.search = `?name=${encodeURIComponent(find("name").value)}`;
  socket?.close();
  socket = new WebSocket(address);
  const mine = socket;
  mine.addEventListener("open", () => entered(room));
  mine.addEventListener("message", (event) => show(JSON.parse(event.data)));
  mine.addEventListener("close", () => mine === socket && left());
});

find("say").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(find("text").value);
  find("text").value = "";
});

function entered(room) {
  find("room-title").textContent = `Room ${room}`;
  find("lines").replaceChildren();
  find("talk").hidden = false;
  find("status").textContent = `You are in ${room}`;
  find("text").focus();
}

function left() {
  find("talk").hidden = true;
  find("status").textContent = "You are not connected";
}

function show({ from, text, members }) {
  if (members) {
    find("members").textContent = members.join(", ");
    return;
  }
  const line = document.createElement("li");
  const who = line.appendChild(document.createElement("strong"));
  who.textContent = `${from}: `;
  line.append(text);
  find("lines").append(line);
  line.scrollIntoView({ block: "nearest" });
}
