// Uses the pages of the examples as people do, on a telephone and by keyboard, and takes pictures.
// node examples.cjs PLAYWRIGHT PICTURES SHOP PICTURES-APP CHAT
'use strict';

const assert = require('node:assert');
const path = require('node:path');

const [playwright, out, shop, pictures, chat] = process.argv.slice(2);
const { chromium } = require(path.resolve(playwright));

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run', '--disable-sync'];

// A page that may say nothing wrong.
async function open(browser, address) {
  const page = await (await browser.newContext({ viewport: { width: 360, height: 740 } })).newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') page.errors.push(message.text()); });
  await page.goto(address);
  return page;
}

async function look(page, name) {
  const faults = await page.evaluate(() => {
    const faults = [];
    const over = document.documentElement.scrollWidth - innerWidth;
    if (over > 0) faults.push(`${over} pixels too wide`);
    for (const field of document.querySelectorAll('input, button')) {
      if (!field.labels?.length && !field.textContent && !field.getAttribute('aria-label')) faults.push('a field without a name');
      if (field.offsetParent && field.getBoundingClientRect().height < 40) faults.push(`a small field: ${field.id}`);
    }
    for (const image of document.images) {
      if (!image.alt || !image.naturalWidth) faults.push(`a picture that says nothing: ${image.src}`);
    }
    return faults;
  });
  await page.screenshot({ path: path.join(out, `${name}.png`), fullPage: true });
  assert.deepStrictEqual([faults, page.errors], [[], []], name);
}

const says = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();

async function buys(browser) {
  const page = await open(browser, shop);
  const add = page.getByRole('button', { name: 'Add: Green tea, 100 g' });
  await add.press('Enter');
  await says(page, 'Green tea, 100 g: 1 in the cart');
  await page.keyboard.press('Enter');
  await says(page, 'Green tea, 100 g: 2 in the cart');
  await look(page, 'shop');
  await page.getByRole('button', { name: 'Order' }).press('Enter');
  await says(page, 'Thank you. Your order of €13.80 is confirmed.');
  await page.getByText('23 left').waitFor();
  await look(page, 'shop-ordered');
}

async function shrinks(browser) {
  const page = await open(browser, pictures);
  await page.getByLabel('A picture, PNG or JPEG').setInputFiles(path.join(out, 'picture.png'));
  await says(page, '3 thumbnails');
  await page.waitForFunction(() => [...document.images].length === 3 && [...document.images].every((image) => image.complete));
  await look(page, 'pictures');
}

async function talks(browser) {
  const enter = async (name) => {
    const page = await open(browser, chat);
    await page.getByLabel('Your name').fill(name);
    await page.getByLabel('Your name').press('Enter');
    await says(page, 'You are in lobby');
    return page;
  };
  const ada = await enter('Ada');
  const bob = await enter('Bob');
  await bob.getByLabel('Message', { exact: true }).fill('<b>Hello</b>');
  await bob.keyboard.press('Enter');
  // What people write is text, whatever it looks like.
  await ada.getByRole('log').getByText('Bob: <b>Hello</b>').waitFor();
  await look(ada, 'chat');
}

(async () => {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    await buys(browser);
    await shrinks(browser);
    await talks(browser);
  } finally {
    await browser.close();
  }
})();
