// The browser's console as a witness: errors, uncaught exceptions, hydration warnings and broken policies fail a test.
import { expect, type BrowserContext } from '@playwright/test';

/** Collects what the pages of a context complain about, apart from what the test has named as expected. */
export class Complaints {
  readonly #all: string[] = [];
  readonly #expected: RegExp[] = [];

  /** Listens to all pages of this context, now and later. */
  watch(context: BrowserContext): void {
    context.on('console', (message) => {
      if (message.type() === 'error' || /hydrat|Content[ -]Security[ -]Policy/i.test(message.text())) {
        this.#all.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on('weberror', (error) => {
      this.#all.push(`uncaught: ${error.error().stack ?? error.error().message}`);
    });
  }

  /** From now on, and for what was said before, a complaint that matches is no fault. */
  expect(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  /** The network may fail: the browser says so in the console, whatever the page does. */
  expectNetworkErrors(): void {
    this.expect(/Failed to load resource: net::ERR_|: net::ERR_[A-Z_]+ /);
  }

  get unexpected(): string[] {
    return this.#all.filter((complaint) => !this.#expected.some((pattern) => pattern.test(complaint)));
  }

  check(): void {
    expect(this.unexpected, 'the browser has nothing to complain about').toEqual([]);
  }
}
