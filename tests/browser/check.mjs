// Copyright: Contributors to the numa.virt collection
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Opens every page of a folder in Chromium: narrow and wide, light and dark. Fails on messages of the console, on
// anything that is fetched, on axe's violations that are serious or worse, on pages that scroll sideways, on guests
// that the keyboard does not reach. Run as: node check.mjs FOLDER CHROMIUM [PICTURES]

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [folder, executablePath, pictures] = process.argv.slice(2);
const WIDTHS = [400, 1280];
const SCHEMES = ["light", "dark"];
const LARGE = 200_000;
// A4 without its margins.
const PAPER = 703;
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
let audits = 0;

async function overflow(page) {
  return page.evaluate(() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
}

async function audit(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "incomplete"] }));
  audits += found.passes.length;
  return found.violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.impact} ${each.id}: ${each.help}: ${each.nodes[0].html.slice(0, 160)} (${each.nodes.length})`);
}

// The first guest of the key, by keyboard alone: the picture has to dim all others, without a script.
async function keyboard(page) {
  const link = page.locator(".keys a").first();
  if ((await link.count()) === 0) return [];
  await link.focus();
  await page.keyboard.press("Enter");
  const drawn = await page.evaluate(() => {
    document.getAnimations().forEach((each) => each.finish());
    const own = [...document.querySelectorAll("svg .m.g0")].map((each) => getComputedStyle(each).opacity);
    const rest = [...document.querySelectorAll("svg .m:not(.g0)")].map((each) => getComputedStyle(each).opacity);
    return { own, rest };
  });
  const wrong = drawn.own.some((each) => each !== "1") || drawn.rest.some((each) => Number(each) > 0.5);
  return wrong || drawn.own.length === 0 ? ["choosing a guest by keyboard does not show it alone"] : [];
}

// What is wider than its frame: on paper nobody can scroll.
async function cut(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll(".scroll")]
      .filter((each) => each.scrollWidth > each.clientWidth + 1)
      .map((each) => `cut on paper: ${each.getAttribute("aria-label")} by ${each.scrollWidth - each.clientWidth} px`),
  );
}

// What a page says, fetches and shows, as lines. `name` is that of pictures to take, if any are wanted.
async function faults(browser, address, width, colorScheme, name) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  // How long a page takes is the machine's affair.
  page.setDefaultTimeout(300000);
  const said = [];
  page.on("console", (message) => said.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== address) said.push(`fetches ${request.url()}`);
  });
  await page.goto(address);
  if (pictures && name) {
    await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
  }
  const beyond = await overflow(page);
  if (beyond > 0) said.push(`scrolls sideways by ${beyond} px`);
  // Widths do not change what is on a page: that of a large one is looked at in one width.
  const size = (await page.content()).length;
  if (width === WIDTHS.at(-1) || size < LARGE) said.push(...(await audit(page)));
  said.push(...(await keyboard(page)));
  if (width === WIDTHS.at(-1) && colorScheme === "light") {
    await page.goto(address);
    const path = pictures && name ? join(pictures, `${name}.pdf`) : undefined;
    const pdf = await page.pdf({ path, preferCSSPageSize: true, format: "A4" });
    if (pdf.length < 2000) said.push("prints nothing");
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: PAPER, height: 900 });
    said.push(...(await cut(page)));
  }
  await context.close();
  return said;
}

// A page with every fault that is looked for: a check that finds none would prove nothing.
async function selfTest(browser) {
  const body = `<p style="color:#aaa;background:#bbb;width:3000px">faint</p><img src="data-not-here.png"><svg class="m g1"/>
    <ul class="keys"><li id="g0"><a href="#g0">no style</a></ul><script>console.log("said")</script>`;
  const path = join(profile, "faults.html");
  await writeFile(path, `<!DOCTYPE html><title>faults</title>${body}`);
  const found = (await faults(browser, pathToFileURL(path).href, 400, "light")).join("\n");
  for (const wanted of ["console log: said", "fetches file:", "sideways", "color-contrast", "image-alt", "html-has-lang", "keyboard"]) {
    if (!found.includes(wanted)) problems.push(`the check does not find: ${wanted}`);
  }
}

const profile = await mkdtemp(join(tmpdir(), "numa-virt-browser-"));
try {
  if (pictures) await mkdir(pictures, { recursive: true });
  const browser = await chromium.launch({ executablePath, args: QUIET, env: { ...process.env, HOME: profile } });
  await selfTest(browser);
  const names = (await readdir(folder)).filter((each) => each.endsWith(".html")).sort();
  for (const name of names) {
    for (const width of WIDTHS) {
      for (const scheme of SCHEMES) {
        const address = pathToFileURL(join(resolve(folder), name)).href;
        const found = await faults(browser, address, width, scheme, name.replace(".html", ""));
        problems.push(...found.map((each) => `${name}, ${width} px, ${scheme}: ${each}`));
      }
    }
  }
  console.log(`${names.length} pages in Chromium ${browser.version()}, ${audits} audits passed`);
  await browser.close();
  if (names.length === 0) problems.push("there are no pages");
} finally {
  await rm(profile, { recursive: true, force: true });
}
problems.forEach((each) => console.log(each));
process.exit(problems.length ? 1 : 0);
