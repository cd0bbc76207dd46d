/**
 * Keeps a comm open between the outputs of one notebook and its kernel.
 *
 * The browser opens it, because messages of such a comm are answered while a cell runs. The kernel closes it at once
 * where flowbook is not loaded yet, so it is tried again whenever an output of flowbook is drawn, and after a restart.
 */

import type { ISessionContext } from "@jupyterlab/apputils";
import type { Kernel, KernelMessage } from "@jupyterlab/services";
import type { JSONObject } from "@lumino/coreutils";
import { ControlClient } from "../protocol/ControlClient";
import { COMM_TARGET } from "../protocol/messages";

/** Messages sent before the comm's subshell has started would wait for the cell that runs. */
const SUBSHELL_LIMIT_MS = 2000;

const GONE: ReadonlySet<Kernel.Status> = new Set(["autorestarting", "dead", "restarting", "terminating"]);

export class KernelControl {
  readonly client = new ControlClient();
  readonly #session: ISessionContext;
  #comm: Kernel.IComm | null = null;
  #wasLost = false;
  #wasCut = false;

  constructor(session: ISessionContext) {
    this.#session = session;
    session.kernelChanged.connect(this.#kernelChanged, this);
    session.statusChanged.connect(this.#statusChanged, this);
    session.connectionStatusChanged.connect(this.#connectionChanged, this);
    session.disposed.connect(() => this.#drop());
  }

  /** The id of the kernel it talks to; null while there is none. */
  get kernelId(): string | null {
    return this.#comm ? (this.#session.session?.kernel?.id ?? null) : null;
  }

  /** Open the comm, if it is not open and there is a kernel that could answer. */
  wake(): void {
    const kernel = this.#session.session?.kernel;
    if (this.#comm || !kernel || kernel.isDisposed || !kernel.handleComms || GONE.has(kernel.status)) return;
    const comm = kernel.createComm(COMM_TARGET);
    this.#comm = comm;
    comm.onMsg = (message: KernelMessage.ICommMsgMsg) => {
      if (this.#comm === comm) this.client.receive(message.content.data, message.buffers ?? []);
    };
    comm.onClose = () => {
      if (this.#comm !== comm) return;
      const wasAnswered = this.client.hello !== null;
      this.#drop();
      // A kernel that has answered knows flowbook: it has only not heard of this page for long.
      if (wasAnswered && this.#isShown) this.wake();
    };
    void subshellOf(kernel, comm).then(() => {
      if (this.#comm !== comm || comm.isDisposed || kernel.isDisposed) return;
      comm.open();
      this.client.open((message) => {
        if (!comm.isDisposed && !kernel.isDisposed) comm.send(message as unknown as JSONObject);
      });
    });
  }

  #drop(): void {
    const comm = this.#comm;
    this.#comm = null;
    if (!comm) return;
    comm.onClose = noop;
    comm.onMsg = noop;
    this.client.close();
  }

  #kernelChanged(): void {
    this.#drop();
    this.client.kernelGone();
    if (this.#isShown) this.wake();
  }

  #statusChanged(_: ISessionContext, status: Kernel.Status): void {
    if (GONE.has(status)) {
      this.#drop();
      if (!this.#wasLost) this.client.kernelGone();
      this.#wasLost = true;
    } else if (this.#wasLost && status === "idle") {
      this.#wasLost = false;
      if (this.#isShown) this.wake();
    }
  }

  /** After the line to the server was cut, messages may be missing, and the kernel may have given the comm up. */
  #connectionChanged(_: ISessionContext, status: Kernel.ConnectionStatus): void {
    const comm = this.#comm;
    if (status === "connected" && this.#wasCut && comm) {
      this.#drop();
      if (!comm.isDisposed) comm.close();
      if (this.#isShown) this.wake();
    }
    this.#wasCut = status !== "connected";
  }

  get #isShown(): boolean {
    return this.client.links.some((link) => link.isUsed);
  }
}

/** Wait until messages of a comm no longer wait for cells, or it is clear that they will. */
async function subshellOf(kernel: Kernel.IKernelConnection, comm: Kernel.IComm): Promise<void> {
  try {
    await kernel.info;
    const { subshellStarted, commsOverSubshells } = comm as Subshelled;
    if (!kernel.supportsSubshells || !subshellStarted || commsOverSubshells === "disabled") return;
    await Promise.race([subshellStarted, after(SUBSHELL_LIMIT_MS)]);
  } catch {
    // a kernel that could not start one answers after the cell
  }
}

/** What JupyterLab's comms have, and its interface does not name. */
interface Subshelled extends Kernel.IComm {
  readonly subshellStarted?: Promise<void>;
}

const noop = (): void => undefined;

const after = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));
