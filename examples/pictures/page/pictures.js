// The page of the pictures: it sends one through the chain, and shows what comes out.

const find = (id) => document.getElementById(id);

find("file").addEventListener("change", async () => {
  const [file] = find("file").files;
  if (!file) {
    return;
  }
  find("status").textContent = "Making thumbnails";
  find("thumbnails").replaceChildren();
  const response = await fetch("api/pictures", { method: "POST", body: file });
  if (!response.ok) {
    find("status").textContent = `That did not work: ${await response.text()}`;
    return;
  }
  const { id, thumbnails } = await response.json();
  find("status").textContent = `${thumbnails.length} thumbnails`;
  find("thumbnails").append(...thumbnails.map((thumbnail) => figure(id, thumbnail)));
});

function figure(id, { name, width, height, bytes }) {
  const figure = document.createElement("figure");
  const image = figure.appendChild(document.createElement("img"));
  Object.assign(image, { src: `api/pictures/${id}/${name}`, width, height, alt: `Thumbnail, ${width} by ${height} pixels` });
  figure.appendChild(document.createElement("figcaption")).textContent = `${width} × ${height}, ${bytes} bytes`;
  return figure;
}
