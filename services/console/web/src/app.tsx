import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { followEvents } from './events.ts';
import { followTrees } from './mirror.ts';
import { address, route } from './route.ts';
import { loadSession, session, sessionTrouble, signOut } from './session.ts';
import { SignIn } from './sign-in.tsx';
import { StateOfPage } from './state-of-page.tsx';
import { followStatus, problems } from './status.ts';
import { ConnectionsView } from './views/connections.tsx';
import { EventsView } from './views/events.tsx';
import { GatewaysView } from './views/gateways.tsx';
import { MapView } from './views/map.tsx';
import { NodeView } from './views/node.tsx';
import { OverviewView } from './views/overview.tsx';
import { TargetsView } from './views/targets.tsx';
import { TreeView } from './views/tree.tsx';

const VIEWS: readonly { readonly path: string; readonly title: string; readonly View: ComponentType }[] = [
  { path: '', title: 'Overview', View: OverviewView },
  { path: 'tree', title: 'Tree', View: TreeView },
  { path: 'map', title: 'Map', View: MapView },
  { path: 'connections', title: 'Connections', View: ConnectionsView },
  { path: 'targets', title: 'Targets', View: TargetsView },
  { path: 'gateways', title: 'Gateways', View: GatewaysView },
  { path: 'events', title: 'Events', View: EventsView },
];

export function App() {
  const known = session.value;
  if (known === null) {
    return (
      <main class="alone">
        <p role="status">{sessionTrouble.value || 'Loading…'}</p>
        {sessionTrouble.value !== '' && (
          <button type="button" onClick={() => void loadSession()}>
            Try again
          </button>
        )}
      </main>
    );
  }
  return known.signedIn ? <Frame key={known.csrf} /> : <SignIn />;
}

function Frame() {
  useEffect(() => {
    const ends = [followStatus(), followTrees(), followEvents()];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  const [path = ''] = route.value;
  const view = VIEWS.find((one) => one.path === path);
  const title = path === 'node' ? 'Node' : (view?.title ?? 'Overview');
  const View = path === 'node' ? NodeView : (view?.View ?? OverviewView);
  useEffect(() => {
    document.title = `${title} · spanmesh`;
  }, [title]);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <header>
        <strong class="brand">spanmesh</strong>
        <nav aria-label="Views">
          {VIEWS.map(({ path: to, title: text }) => (
            <a key={to} href={address(to)} aria-current={to === path ? 'page' : undefined}>
              {text}
              {to === '' && problems.value.length > 0 && (
                <span class="badge">
                  {problems.value.length}
                  <span class="unseen"> problems</span>
                </span>
              )}
            </a>
          ))}
        </nav>
        <StateOfPage />
        <Who />
      </header>
      <main id="main" tabIndex={-1}>
        <View key={route.value.join('/')} />
      </main>
    </>
  );
}

function Who() {
  const { asksForUsers = false, user = '', role = '' } = session.value ?? {};
  if (!asksForUsers) return null;
  return (
    <span class="who">
      {user} ({role}){' '}
      <button type="button" class="quiet" onClick={() => void signOut()}>
        Sign out
      </button>
    </span>
  );
}
