// Looks at the console as people do, and takes pictures.
// node browser.cjs PLAYWRIGHT CONSOLE APP PICTURES
'use strict';

const assert = require('node:assert');
const path = require('node:path');

const [playwright, base, app, pictures] = process.argv.slice(2);
const { chromium } = require(path.resolve(playwright));

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run', '--disable-sync'];
const LOOKS = [['light', 1280], ['dark', 1280], ['light', 360]];

// Every page, read in every way, is in order: nothing was refused, nothing overflows, everything has a name.
async function look(browser) {
  for (const [scheme, width] of LOOKS) {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 } });
    const page = await context.newPage();
    const errors = [];
    page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(base)) errors.push(`something from elsewhere: ${request.url()}`);
    });
    await page.goto(`${base}/chains/pair`);
    const execution = await page.getAttribute('th a[href^="/chains/pair/"]', 'href');
    const pages = {
      functions: '/', function: '/functions/lab', chains: '/chains', chain: '/chains/pair', execution,
      buckets: '/buckets', bucket: '/buckets/counts', value: '/buckets/counts/value?key=%2Fcount%2Fship-7', logs: '/logs',
    };
    for (const [name, address] of Object.entries(pages)) {
      await page.goto(base + address);
      const faults = await page.evaluate(() => {
        const faults = [];
        const over = document.documentElement.scrollWidth - innerWidth;
        if (over > 0) faults.push(`${over} pixels too wide`);
        for (const svg of document.querySelectorAll('svg:not([aria-hidden])')) {
          if (!svg.getAttribute('aria-label')) faults.push('a chart without a name');
        }
        for (const table of document.querySelectorAll('table')) {
          if (!table.caption) faults.push('a table without a caption');
          if (table.querySelector('th:not([scope])')) faults.push('a heading without a scope');
        }
        for (const input of document.querySelectorAll('input, select')) {
          if (!input.labels.length) faults.push('a field without a label');
        }
        if (document.querySelectorAll('h1').length !== 1) faults.push('not one heading');
        if (document.querySelector('[style]')) faults.push('an inline style');
        return faults;
      });
      assert.deepStrictEqual(faults, [], `${name} at ${width}`);
      await page.screenshot({ path: path.join(pictures, `${name}-${scheme}-${width}.png`), fullPage: true });
    }
    assert.deepStrictEqual(errors, []);
    await context.close();
  }
}

async function byKeyboard(browser) {
  const page = await browser.newPage();
  await page.goto(`${base}/`);
  await page.keyboard.press('Tab');
  assert.strictEqual(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.strictEqual(await page.evaluate(() => document.activeElement.id), 'content');
  await page.keyboard.press('Tab');
  const focus = () => page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return [document.activeElement.textContent, style.outlineStyle, parseFloat(style.outlineWidth) >= 2];
  });
  assert.deepStrictEqual(await focus(), ['counter', 'solid', true]);
  // The page is made fresh, and the reader stays where they were.
  await page.waitForResponse((response) => response.url() === `${base}/`);
  await page.waitForTimeout(100);
  assert.deepStrictEqual(await focus(), ['counter', 'solid', true]);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/functions/counter`);
  await page.close();
}

async function withoutScripts(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${base}/`);
  assert.match(await page.innerText('main'), /counter[\s\S]*lab[\s\S]*step/);
  await page.goto(`${base}/buckets/counts`);
  await page.click('text=Next page');
  await page.fill('input[name=prefix]', '/count/ship-11');
  await page.click('button');
  assert.strictEqual(await page.locator('tbody tr').count(), 11);
  await page.click('a:has-text("/count/ship-117")');
  assert.strictEqual(await page.locator('pre.value').count(), 1);
  await context.close();
}

async function asItHappens(browser) {
  const page = await browser.newPage();
  await page.goto(`${base}/logs?level=info`);
  await page.waitForSelector('.follow.on');
  await fetch(`${app}/say?land-in-sight`);
  await page.waitForSelector('text=said land-in-sight');
  await page.goto(`${base}/`);
  const answered = () => page.innerText('tr:has(a[href="/functions/lab"]) [data-name=answered]');
  const before = Number(await answered());
  await fetch(`${app}/say?again`);
  await page.waitForFunction(
    (before) => Number(document.querySelector('tr:has(a[href="/functions/lab"]) [data-name=answered]').innerText) > before,
    before,
  );
  await page.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    for (const part of [look, byKeyboard, withoutScripts, asItHappens]) await part(browser);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
