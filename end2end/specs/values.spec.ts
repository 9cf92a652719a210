// Parameter values arrive as entered: in the start form with and without scripts, and in the re-run form.
import type { PipelineSpec } from '../support/server.ts';
import { hydrated } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const pipeline: PipelineSpec = {
  name: 'values',
  title: 'Values',
  params: [
    { name: 'word', type: 'string', default: 'usual' },
    { name: 'note', type: 'text' },
    { name: 'level', type: 'integer', default: 3 },
    { name: 'loud', type: 'boolean', default: true },
  ],
  phases: { only: 'true' },
};

const secret: PipelineSpec = {
  name: 'secret',
  title: 'With a secret',
  params: [
    { name: 'word', type: 'string' },
    { name: 'password', type: 'secret', required: true },
  ],
  phases: { only: 'echo "it is $RUNTRAIL_PARAM_PASSWORD."' },
};

/** The input of the start form, and the resulting parameters. */
const cases = {
  untouched: [{}, { word: 'usual', level: 3, loud: true }],
  emptied: [{ word: '', level: '' }, { word: '', level: '', loud: true }],
  blank: [{ word: ' ', note: '\n  two\nlines\n' }, { word: ' ', note: '\n  two\nlines\n', level: 3, loud: true }],
} as const;

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with scripts' : 'without scripts', () => {
    test.use({ javaScriptEnabled });

    for (const [name, [typed, params]] of Object.entries(cases)) {
      test(`${name} fields of the start form`, async ({ server, api, list, page }) => {
        await server.pipeline(pipeline);
        await page.goto(`${server.base}/?pipeline=values`);
        if (javaScriptEnabled) await hydrated(page);
        for (const [field, text] of Object.entries(typed)) await list.form.param(field).fill(text);
        await list.form.submit.click();
        await page.waitForURL(/\/runs\//);
        const [run] = await api.runs();
        expect(run!.params).toEqual(params);
      });
    }

    test('checkbox that is checked by default can be unchecked', async ({ server, api, list, page }) => {
      await server.pipeline(pipeline);
      await page.goto(`${server.base}/?pipeline=values`);
      if (javaScriptEnabled) await hydrated(page);
      await list.form.param('loud').uncheck();
      await list.form.submit.click();
      await page.waitForURL(/\/runs\//);
      const [run] = await api.runs();
      expect(run!.params).toEqual({ word: 'usual', level: 3, loud: false });
    });

    test('re-run form keeps the values, line breaks too', async ({ server, api, list, page }) => {
      await server.pipeline(pipeline);
      const given = { word: 'a\r\nb', note: '\n<b>&amp;\r\n', level: '', loud: false };
      const { id } = await api.start('values', given);
      await api.reaches(id, 'completed');
      await page.goto(`${server.base}/runs/${id}?edit=1`);
      if (javaScriptEnabled) await hydrated(page);
      await expect(list.form.param('word')).toHaveValue('a\nb');
      await expect(list.form.param('note')).toHaveValue('\n<b>&amp;\n');
      await page.getByTestId('rerun-edited').click();
      await expect.poll(async () => (await api.run(id)).attempt).toBe(2);
      expect((await api.run(id)).params).toEqual(given);
    });

    test('secret is used and shown nowhere', async ({ server, api, list, page }) => {
      await server.pipeline(secret);
      await page.goto(`${server.base}/?pipeline=secret`);
      if (javaScriptEnabled) await hydrated(page);
      await list.form.param('word').fill('seen');
      await list.form.param('password').fill('hunter-22');
      await list.form.submit.click();
      await page.waitForURL(/\/runs\//);
      const [run] = await api.runs();
      await api.reaches(run!.id, 'completed');
      expect(run!.params).toEqual({ word: 'seen' });
      await page.goto(`${server.base}/runs/${run!.id}`);
      await expect(page.getByText('it is ***.')).toBeVisible();
      expect(await page.content()).not.toContain('hunter-22');

      // Another attempt needs the secret again.
      await page.goto(`${server.base}/runs/${run!.id}?edit=1`);
      if (javaScriptEnabled) await hydrated(page);
      await expect(list.form.param('password')).toHaveValue('');
      await expect(page.getByText('Secrets are removed when a run ends.')).toBeVisible();
      await list.form.param('password').fill('hunter-33');
      await page.getByTestId('rerun-edited').click();
      await expect.poll(async () => (await api.run(run!.id)).attempt).toBe(2);
      await api.reaches(run!.id, 'completed');
      expect(JSON.stringify(await api.frames(run!.id))).not.toContain('hunter');
    });
  });
}

test.describe('fields of another pipeline, without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('do not put input into the address', async ({ server, list, page }) => {
    await server.pipeline(pipeline);
    await server.pipeline(secret);
    await page.goto(`${server.base}/?pipeline=secret`);
    await list.form.param('password').fill('hunter-22');
    await list.form.pipelines.first().selectOption('values');
    await page.getByRole('button', { name: 'Show fields' }).click();
    await expect(page).toHaveURL(`${server.base}/?pipeline=values`);
    await expect(list.form.param('note')).toBeVisible();
  });
});
