// Decides: how a system test gets a TCP path that ends with it.
// Must not know: what travels on it.
import { onTestFinished } from 'vitest';
import { openTcpPath, type TcpPath } from '../kit/tcp-path.ts';

export async function tcpPath(toPort: number, text = ''): Promise<TcpPath> {
  const path = await openTcpPath(toPort, text);
  onTestFinished(path.close);
  return path;
}
