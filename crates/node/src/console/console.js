// Keeps a page fresh. Every page says the same without it.
'use strict';

const PERIOD_MS = 2000;

// Takes what changed from a fresh copy of this page, and leaves what its reader opened or holds as it was.
async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const old of document.querySelectorAll('[data-live]')) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    const open = [...old.querySelectorAll('details')].map((details) => details.open);
    const held = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    const scrolled = [...old.querySelectorAll('[tabindex]')].map((region) => region.scrollLeft);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll('details').forEach((details, index) => { details.open = open[index] ?? false; });
    old.querySelectorAll('[tabindex]').forEach((region, index) => { region.scrollLeft = scrolled[index] ?? 0; });
    if (held) old.querySelector(`[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  }
}

function keepFresh() {
  // One that fails, as when the node stops, is followed by another.
  setTimeout(() => refresh().catch(() => {}).finally(keepFresh), PERIOD_MS);
}

// Puts each line of log at the end, as it comes.
function follow(card) {
  const list = card.querySelector('.log');
  const status = document.getElementById('follow');
  const lines = new EventSource('/logs/live' + location.search);
  const bottom = () => { list.scrollTop = list.scrollHeight; };
  bottom();
  lines.onopen = () => { status.textContent = 'live'; status.classList.add('on'); };
  lines.onerror = () => { status.textContent = 'reconnecting'; status.classList.remove('on'); };
  lines.addEventListener('line', (event) => {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    card.querySelector('.empty')?.remove();
    list.insertAdjacentHTML('beforeend', event.data);
    while (list.childElementCount > Number(card.dataset.follow)) list.firstElementChild.remove();
    if (isAtEnd) bottom();
  });
}

if (document.querySelector('[data-live]')) keepFresh();
const card = document.querySelector('[data-follow]');
if (card) follow(card);
