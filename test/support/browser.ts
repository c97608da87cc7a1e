/** A real Chromium, and pages in it that note everything that goes wrong. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** Debian's; another place is named by CHROMIUM. */
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Without these it asks hosts of its maker at every start. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface WatchedPage {
  readonly page: Page;
  /** Console errors and uncaught errors, content security violations among them. */
  readonly faults: string[];
  /** Requests to anywhere but the page's own origin. */
  readonly strangers: string[];
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

export class TestBrowser {
  readonly #browser: Browser;
  readonly #home: string;
  readonly #contexts: BrowserContext[] = [];

  private constructor(browser: Browser, home: string) {
    this.#browser = browser;
    this.#home = home;
  }

  static async open(): Promise<TestBrowser> {
    const home = await mkdtemp(join(tmpdir(), 'trunkline-browser-'));
    const env = { ...process.env, HOME: home };
    return new TestBrowser(await chromium.launch({ executablePath, args, env }), home);
  }

  async visit(url: string, options: PageOptions = {}): Promise<WatchedPage> {
    const context = await this.#browser.newContext({
      viewport: { width: options.width ?? 1280, height: options.height ?? 900 },
      colorScheme: options.dark === true ? 'dark' : 'light',
    });
    this.#contexts.push(context);
    const page = await context.newPage();
    const faults: string[] = [];
    const strangers: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) strangers.push(request.url());
    });
    await page.goto(url);
    return { page, faults, strangers };
  }

  /** Closes what was visited. */
  async leave(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await rm(this.#home, { recursive: true, force: true });
  }
}
