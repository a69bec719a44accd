// The stream of states, which comes back by itself, and actions, each a request of its own.

const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 3000;
const SILENCE_MS = 2500;
const PICTURES = ['camera', 'face', 'keyframe_pictures'];

/** Calls on.values(object), on.picture(about, data) and on.link(text, isLost). */
export function connect(on) {
  let retryMs = FIRST_RETRY_MS;
  let heardMs = 0;
  let socket = null;

  function open() {
    const address = new URL('states', location.href);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      retryMs = FIRST_RETRY_MS;
      ask();
    };
    socket.onmessage = ({ data }) => {
      heardMs = performance.now();
      on.link('live', false);
      if (typeof data === 'string') on.values(JSON.parse(data));
      else on.picture(...unpacked(data));
    };
    socket.onclose = () => {
      on.link('No connection. What is shown is old; trying again …', true);
      setTimeout(open, retryMs);
      retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
    };
  }

  function ask() {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify(document.hidden ? [] : PICTURES));
  }

  setInterval(() => {
    const silent = performance.now() - heardMs;
    if (socket.readyState === WebSocket.OPEN && heardMs && silent > SILENCE_MS) {
      on.link(`Nothing new for ${(silent / 1000).toFixed(0)} s.`, true);
    }
  }, 500);
  document.addEventListener('visibilitychange', ask);
  open();
}

function unpacked(data) {
  const length = new DataView(data).getUint16(0);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 2, length)));
  return [about, data.slice(2 + length)];
}

/** Return {done, sentence}; never throws. */
export async function act(action, timeoutMs = 7000) {
  try {
    const answer = await fetch('act', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(action),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const isJson = answer.headers.get('Content-Type')?.startsWith('application/json');
    return isJson ? await answer.json() : { done: false, sentence: await answer.text() };
  } catch {
    return { done: false, sentence: 'the cockpit does not answer' };
  }
}

const STOP_AGAIN_MS = 300;
const STOP_FOR_MS = 15000;

/** Ask for a stop again and again until it is confirmed; calls say(text, isBad). */
export async function stop(say) {
  const endMs = performance.now() + STOP_FOR_MS;
  let timeoutMs = 1500; // longer each time: a slow browser hears a good answer late
  say('Stopping …', true);
  while (true) {
    const { done, sentence } = await act({ action: 'stop' }, timeoutMs);
    timeoutMs *= 2;
    if (done) return say('Stopped. Press Reset to move again.', false);
    say(`Not stopped yet: ${sentence}. Trying again; cut the power if it still moves.`, true);
    if (performance.now() > endMs) return undefined;
    await new Promise((resolve) => setTimeout(resolve, STOP_AGAIN_MS));
  }
}
