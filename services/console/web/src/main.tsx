import { render } from 'preact';
import { App } from './app.tsx';
import { loadSession } from './session.ts';

const root = document.getElementById('app');
if (root !== null) {
  void loadSession();
  render(<App />, root);
}
