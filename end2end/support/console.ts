// Errors, uncaught exceptions, hydration warnings and policy violations in the browser's console fail a test.
import { expect, type BrowserContext } from '@playwright/test';

/** Collects the complaints of the pages of a context, except those that the test expects. */
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

  /** Accepts complaints that match, also earlier ones. */
  expect(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  /** Accepts network errors, which the browser logs whatever the page does. */
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
