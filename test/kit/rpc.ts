// Decides: how a test calls a real node by JSON-RPC.
// Must not know: which node it is.

export type Rpc = (method: string, params?: readonly unknown[]) => Promise<unknown>;

/** Makes the function that calls the node; a JSON-RPC error is thrown with its message. */
export function rpcTo(url: string): Rpc {
  return async (method, params = []) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    // The shape of JSON-RPC; a node that breaks it fails the test in the next line.
    const answer = (await response.json()) as { result?: unknown; error?: { message: string } };
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  };
}
