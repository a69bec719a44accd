// Bars, parameters, joints and tables.

import { act } from './connection.js';

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const words = (name) => name.replace(/^(detector|gain|filter|face)\./, '').replaceAll('_', ' ');
const rounded = (value) => (typeof value === 'number' ? String(+value.toFixed(3)) : String(value));

/** Calls send with the newest value, at most every periodMs, the last one always. */
function paced(send, periodMs) {
  let waiting = null;
  let timer = null;
  const go = () => {
    timer = null;
    if (waiting === null) return;
    const [value] = waiting;
    waiting = null;
    timer = setTimeout(go, periodMs);
    send(value);
  };
  return (value) => {
    waiting = [value];
    if (timer === null) go();
  };
}

/** Channels of the person beside those that the robot shows. */
export class Channels {
  constructor(box, absent = ' (not on this head)') {
    this.box = box;
    this.absent = absent;
    this.bars = [];
  }

  build({ channels, shown }) {
    this.bars = channels.map((name) => {
      const isAngle = /^(gaze|head)_/.test(name);
      const make = () => element('div', { className: isAngle ? 'bar signed' : 'bar' }, element('i'));
      return { name, isAngle, human: make(), robot: make() };
    });
    this.box.replaceChildren(
      ...this.bars.map(({ name, human, robot }, place) =>
        element(
          'div',
          { className: shown[place] ? 'channel' : 'channel hidden-channel' },
          element('span', { textContent: shown[place] ? words(name) : `${words(name)}${this.absent}` }),
          element('div', { className: 'bars' }, human, robot),
        ),
      ),
    );
  }

  show({ human, robot }) {
    this.bars.forEach((bar, place) => {
      const scale = bar.isAngle ? 1 / 0.8 : 1;
      const width = (value) => Math.max(-1, Math.min(1, (value ?? 0) * scale)).toFixed(3);
      bar.human.firstChild.style.transform = `scaleX(${width(human?.[place])})`;
      bar.robot.firstChild.style.transform = `scaleX(${width(robot?.[place])})`;
    });
  }
}

/** One control per live parameter. */
export class Parameters {
  constructor(boxes, say) {
    this.boxes = boxes;
    this.say = say;
    this.controls = new Map();
    this.tuning = {};
    this.values = {};
  }

  build(tuning) {
    this.tuning = tuning;
    this.controls.clear();
    for (const box of Object.values(this.boxes)) box.replaceChildren();
    for (const [node, parameters] of Object.entries(tuning)) {
      for (const parameter of parameters) this.boxes[parameter.panel].append(this.control(node, parameter));
    }
    this.show(this.values);
  }

  control(node, parameter) {
    const { name, about, unit, low, high, one_of: choices, fixed } = parameter;
    const id = `${node}-${name}`;
    const label = element('label', { textContent: words(name), htmlFor: id, title: `${node} ${name}: ${about}` });
    const output = element('output', { htmlFor: id });
    let input;
    let read = () => Number(input.value);
    const isNumber = typeof parameter.default === 'number';
    if (typeof parameter.default === 'boolean') {
      input = element('button', { id, type: 'button' });
      read = () => input.getAttribute('aria-pressed') === 'true';
    } else if (choices.length) {
      input = element('select', { id }, ...choices.map((text) => element('option', { textContent: text })));
      read = () => input.value;
    } else {
      const isNarrow = isNumber && low !== null && high !== null && high - low <= 5;
      input = element('input', { id, type: isNarrow ? 'range' : isNumber ? 'number' : 'text' });
      if (isNumber) Object.assign(input, { min: low ?? '', max: high ?? '', step: isNarrow ? 0.01 : 'any' });
      if (!isNumber) read = () => input.value;
    }
    input.title = about;
    input.disabled = true; // until its value is known
    let editedMs = -1e9;
    let refused = false;
    const send = paced(async (value) => {
      const { done, sentence } = await act({ action: 'set', node, name, value });
      this.say(sentence, !done);
      if (!done) {
        editedMs = -1e9;
        refused = true; // the field shows what holds, though the hand is still in it
        this.show(this.values);
      }
    }, 150);
    const edit = () => {
      editedMs = performance.now();
      const value = read();
      if (isNumber && !Number.isFinite(value)) return;
      output.textContent = isNumber ? `${rounded(value)} ${unit}` : '';
      send(value);
    };
    if (input.type === 'range') input.addEventListener('input', edit);
    else if (input.localName === 'button') {
      input.addEventListener('click', () => {
        input.setAttribute('aria-pressed', String(!read()));
        edit();
      });
    } else input.addEventListener('change', edit);
    const row = element('div', { className: 'control' }, label, output, input);
    this.controls.set(id, (value) => {
      input.disabled = fixed;
      // The keyframe node turns the images of another package's camera only.
      row.hidden = id === 'keyframe-mirror' && 'camera' in this.values;
      if (input.localName === 'select' && ![...input.options].some((o) => o.value === value)) {
        input.prepend(element('option', { textContent: value || 'the demo clip', value, disabled: true }));
      }
      if (performance.now() - editedMs < 1500) return; // what the hand does counts
      if (input.localName === 'button') {
        input.setAttribute('aria-pressed', String(value));
        input.textContent = value ? 'on' : 'off';
      } else if (refused || document.activeElement !== input || input.type === 'range') input.value = value;
      refused = false;
      output.textContent = isNumber && input.type === 'range' ? `${rounded(value)} ${unit}` : unit;
    });
    return row;
  }

  show(values) {
    this.values = values;
    for (const [node, parameters] of Object.entries(values)) {
      for (const [name, value] of Object.entries(parameters)) this.controls.get(`${node}-${name}`)?.(value);
    }
  }

  /** What differs from the defaults, as a ROS parameter file. */
  file() {
    const lines = ['# Saved in the cockpit. Use it with --params FILE or params:=FILE.'];
    for (const [node, parameters] of Object.entries(this.tuning)) {
      const changed = parameters.filter(({ name, default: usual, of_run: ofRun }) => {
        const value = this.values[node]?.[name];
        return value !== undefined && value !== usual && !ofRun;
      });
      if (!changed.length) continue;
      lines.push(`/**/${node}:`, '  ros__parameters:');
      for (const { name } of changed) lines.push(`    ${name}: ${JSON.stringify(this.values[node][name])}`);
    }
    return lines.length > 1 ? `${lines.join('\n')}\n` : `${lines[0]}\n{}\n`;
  }
}

/** A slider per joint, with where it is, its current and temperature. */
export class Joints {
  constructor(box, say) {
    this.box = box;
    this.say = say;
    this.rows = [];
  }

  build({ joints }) {
    this.rows = joints.map((joint) => this.row(joint));
    this.box.replaceChildren(...this.rows.map(({ row }) => row));
  }

  row({ name, low, high, neutral, most_a: mostA }) {
    const id = `jog-${name}`;
    const slider = element('input', { id, type: 'range', min: low, max: high, step: 'any', value: neutral });
    const facts = element('span');
    const mark = element('i');
    const jog = paced(async (position) => {
      const { done, sentence } = await act({ action: 'jog', joint: name, position_rad: position });
      this.say(sentence, !done);
    }, 250);
    let editedMs = -1e9;
    slider.addEventListener('input', () => {
      editedMs = performance.now();
      jog(Math.min(high, Math.max(low, Number(slider.value))));
    });
    slider.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      slider.value = Number(slider.value) + (step * (high - low)) / 50;
      slider.dispatchEvent(new Event('input'));
    });
    const row = element(
      'div',
      { className: 'joint' },
      element('label', { htmlFor: id, textContent: words(name) }),
      facts,
      slider,
      element('div', { className: 'place', ariaHidden: 'true' }, mark),
      element(
        'div',
        { className: 'limits' },
        element('span', { textContent: `${low.toFixed(2)} rad` }),
        element('span', { textContent: `${high.toFixed(2)} rad` }),
      ),
    );
    const show = (position, current, state) => {
      const parts = [];
      if (position !== null) {
        mark.style.left = `${((Math.min(high, Math.max(low, position)) - low) / (high - low)) * 100}%`;
        if (performance.now() - editedMs > 4500) slider.value = position;
        parts.push(`${position.toFixed(2)} rad`);
      }
      if (current !== null) parts.push(`${current.toFixed(2)} of ${mostA.toFixed(1)} A`);
      if (state) parts.push(state.replace(/, no error$/, ''));
      facts.textContent = parts.join(' · ');
    };
    return { name, row, show };
  }

  show({ position, current }, details) {
    this.rows.forEach(({ name, show }, place) => {
      show(position[place] ?? null, current[place] ?? null, details?.[name]);
    });
  }
}

/** Rows of a table, made anew when their names change, else only filled. */
export function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, place) => {
    const row = body.rows[place] ?? body.insertRow();
    cells.forEach((text, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}
