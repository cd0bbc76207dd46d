"""What the canvas costs in a real JupyterLab: painting, panning, statuses, and the way from a slider to new values.

Run by ``make bench``. Figures are printed, never asserted: browser, server and kernel share the machine with whatever
else runs on it. Wanted with 1,000 nodes: painted zoomed in within 1 s, 30 FPS while panning and with 100 statuses a
frame; from a slider to the value below within 100 ms in 95 of 100 moves. With all nodes in sight each of them is an
element of the page, and panning is as slow as that makes it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbformat import v4
from playwright.sync_api import Page, sync_playwright

from tests.canvas import samples
from tests.lab.lab_page import LabPage, OpenNotebook
from tests.lab.lab_server import start_lab
from tests.lab.outputs import canvas_bundle, cell

NODES = 1000
FRAMES = 90
CHANGED = 100
MOVES = 40
#: Moves of the slider that are not counted, and the time between two: what a value leaves to be stored is over by then.
WARMING = 5
STEP_MS = 500

#: Shows a bundle in the first cell; milliseconds until its cards are painted.
_PAINT = """
async (panel, app, data) => {
  const began = performance.now();
  panel.content.widgets[0].model.outputs.add({output_type: 'display_data', data, metadata: {}});
  while (!panel.node.querySelector('.fb-canvas .fb-card')) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}
"""

#: A kernel of its own behind the notebook's comm: says hello, shows the canvas, then changes statuses in every frame.
_STATUSES = """
async (panel, app, {data, frames, changed}) => {
  const canvas = data['application/vnd.flowbook.canvas+json'];
  const kernel = panel.sessionContext.session.kernel;
  const comm = {isDisposed: false, commsOverSubshells: 'disabled', open() {}, onMsg() {}, onClose() {}};
  let seq = 0;
  const say = (message) => comm.onMsg({content: {data: message}});
  const batch = (more) => say({kind: 'batch', flow: canvas.flow, seq: ++seq, rev: 1, ...more});
  comm.send = (message) => queueMicrotask(() => {
    if (message.kind === 'hello') say({kind: 'hello', protocol: 1, flows: [canvas.flow], types: []});
    if (message.kind === 'subscribe') batch({canvas});
  });
  kernel.createComm = () => comm;
  panel.content.widgets[0].model.outputs.add({output_type: 'display_data', data, metadata: {}});
  while (!panel.node.querySelector('.fb-canvas[data-fb-connection="live"] .fb-card')) {
    await new Promise(requestAnimationFrame);
  }
  const words = ['queued', 'running', 'ok', 'failed'];
  const gaps = [];
  let spent = 0;
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < frames; frame++) {
    const cards = Array.from({length: changed}, (_, index) => {
      const card = canvas.nodes[(frame * changed + index * 7) % canvas.nodes.length];
      return {...card, status: words[(frame + index) % 4]};
    });
    const began = performance.now();
    batch({cards});
    spent += performance.now() - began;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return {gaps, spent: spent / frames};
}
"""

#: Counts frames until it is told to stop.
_COUNT = """
() => {
  const gaps = [];
  let last = performance.now();
  let on = true;
  const frame = (now) => { gaps.push(now - last); last = now; if (on) requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  window.stopCounting = () => { on = false; return gaps; };
}
"""

#: Moves the slider once; milliseconds until the value below has been painted anew.
_SLIDE = """
async (panel, app, {value, expected}) => {
  const slider = panel.node.querySelector('.fb-card input[type=range]');
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  const began = performance.now();
  set.call(slider, String(value));
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  const shown = () => [...panel.node.querySelectorAll('.fb-card .fb-text-preview')].some(
    (preview) => preview.textContent === expected);
  while (!shown() && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}
"""

SLIDED = (
    "%load_ext flowbook\nfrom typing import Annotated\nimport flowbook as fb\nflow = fb.flow('bench')",
    "@flow.node\ndef source(count: Annotated[int, fb.Setting(min=0, max=1000)] = 0) -> list:\n    return [count]",
    "%%node total\nimport time\ntime.sleep(0.01)\ntotal = sum(source) * 3 + 1",
    "flow",
)


def rate(gaps: list[float]) -> str:
    """Say how many frames a second, and the worst gap between two, milliseconds."""
    return f"{1000 / statistics.mean(gaps):.0f} FPS, worst gap {max(gaps):.0f} ms"


def line(title: str, figure: str) -> None:
    print(f"{title:<58}{figure}", flush=True)


def painting(lab: LabPage) -> OpenNotebook:
    """Paint a large flow, zoomed in as it opens."""
    notebook = lab.open([cell("flow")], starts_kernel=False)
    took_ms = notebook.evaluate(_PAINT, canvas_bundle(samples.random_flow(NODES)))
    shown = lab.page.locator(".fb-canvas .fb-card").count()
    line(f"{NODES:,} nodes: first paint, zoomed in", f"{took_ms:.0f} ms ({shown} cards in sight)")
    return notebook


def panning(page: Page, title: str) -> None:
    """Drag the ground about."""
    box = page.locator(".fb-canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] - 120)
    page.evaluate(_COUNT)
    page.mouse.down()
    for step in range(MOVES):
        page.mouse.move(box["x"] + box["width"] - 30 - step * 12, box["y"] + box["height"] - 120 - step % 7 * 6)
    page.mouse.up()
    gaps = page.evaluate("window.stopCounting()")[2:]
    line(title, f"{rate(gaps)} ({page.locator('.fb-canvas .fb-card').count():,} cards in sight)")


def statuses(lab: LabPage) -> None:
    """Change the statuses of many nodes in every frame."""
    notebook = lab.open([cell("flow")])
    argument = {"data": canvas_bundle(samples.random_flow(NODES)), "frames": FRAMES, "changed": CHANGED}
    found: dict[str, Any] = notebook.evaluate(_STATUSES, argument)
    line(f"{NODES:,} nodes: {CHANGED} statuses a frame", f"{rate(found['gaps'])}, {found['spent']:.1f} ms of script")


def sliding(lab: LabPage) -> None:
    """Move a slider and wait for what follows from it; the node below takes 10 ms."""
    notebook = lab.open([v4.new_code_cell(source) for source in SLIDED])
    notebook.run()
    notebook.page.wait_for_selector('.fb-canvas[data-fb-connection="live"] .fb-card')
    took_ms = []
    for value in range(1, WARMING + MOVES + 1):
        took_ms.append(notebook.evaluate(_SLIDE, {"value": value * 3, "expected": str(value * 9 + 1)}))
        notebook.page.wait_for_timeout(STEP_MS)
    took_ms = sorted(took_ms[WARMING:])
    figures = f"median {statistics.median(took_ms):.0f} ms, p95 {took_ms[int(len(took_ms) * 0.95)]:.0f} ms"
    line("slider moved until the value below is painted", figures)


def main() -> int:
    """Print all figures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    load = os.getloadavg()[0]
    line("machine", f"{os.cpu_count()} cores, {load:.1f} of them busy with something else")
    with tempfile.TemporaryDirectory(prefix="flowbook-bench-") as folder, sync_playwright() as playwright:
        server = start_lab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            lab = LabPage(browser.new_page(viewport={"width": 1400, "height": 900}), server)
            lab.load()
            painting(lab)
            panning(lab.page, f"{NODES:,} nodes: pan, zoomed in")
            lab.page.get_by_role("button", name="Fit").click()
            lab.page.wait_for_timeout(2000)
            panning(lab.page, f"{NODES:,} nodes: pan, all in sight")
            lab.close_all()
            statuses(lab)
            lab.close_all()
            sliding(lab)
            lab.close_all()
        finally:
            browser.close()
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
