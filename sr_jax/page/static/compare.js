// Two images, one over the other, under a divider: they are moved and enlarged together.

import { make } from './page.js';

const KEYS = 'Arrow keys move the divider, with Shift the images; + and - zoom, 0 fits, 1 is one to one.';
const MOST = 32;

class Compare extends HTMLElement {
  connectedCallback() {
    if (this.frame) return;
    const { before, after, name } = this.dataset;
    this.size = [Number(this.dataset.width), Number(this.dataset.height)];
    this.images = [['before', before], ['after', after]].map(([className, id]) => make('img', {
      className, src: `sr_jax/view/${id}`, alt: `${name}, ${className}`, draggable: false,
    }));
    this.line = make('div', { className: 'sr-line' });
    this.frame = make('div', { className: 'sr-frame' }, ...this.images, this.line);
    this.frame.style.aspectRatio = `${this.size[0]} / ${this.size[1]}`;
    this.slider = make('input', { type: 'range', min: 0, max: 1000, value: 500 });
    this.slider.setAttribute('aria-label', 'Divider: before on its left, after on its right');
    this.slider.oninput = () => this.#place();
    this.zoomed = make('output', {});
    const tool = (text, label, act) => {
      const made = make('button', { type: 'button', className: 'sr-button secondary', textContent: text, onclick: act });
      made.setAttribute('aria-label', label);
      return made;
    };
    const tools = make('div', { className: 'sr-tools' },
      tool('Fit', 'Fit into the view', () => this.fit()),
      tool('1:1', 'One pixel of the image is one of the screen', () => this.zoomTo(1 / devicePixelRatio)),
      tool('−', 'Smaller', () => this.zoomTo(this.scale / 1.5)),
      tool('+', 'Larger', () => this.zoomTo(this.scale * 1.5)),
      this.zoomed);
    this.tabIndex = 0;
    this.setAttribute('role', 'group');
    this.setAttribute('aria-label', `${name}, before and after. ${KEYS}`);
    this.append(this.frame, this.slider, tools, make('p', { className: 'sr-help', textContent: KEYS }));
    this.#listen();
    this.isFitted = true;
    this.watcher = new ResizeObserver(() => (this.isFitted ? this.fit() : this.#place()));
    this.watcher.observe(this.frame);
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
  }

  get view() {
    return [this.frame.clientWidth, this.frame.clientHeight];
  }

  fit() {
    const [width, height] = this.view;
    this.scale = Math.min(width / this.size[0], height / this.size[1]);
    this.at = [(width - this.size[0] * this.scale) / 2, (height - this.size[1] * this.scale) / 2];
    this.isFitted = true;
    this.#place();
  }

  // Zooms so that what lies under a point of the view, its middle if none, stays there.
  zoomTo(scale, point = this.view.map((side) => side / 2)) {
    const [width, height] = this.view;
    const least = Math.min(width / this.size[0], height / this.size[1], 1) / 4;
    const next = Math.min(Math.max(scale, least), MOST);
    this.at = this.at.map((start, axis) => point[axis] - ((point[axis] - start) * next) / this.scale);
    this.scale = next;
    this.isFitted = false;
    this.#place();
  }

  move(across, down) {
    this.at = [this.at[0] + across, this.at[1] + down];
    this.isFitted = false;
    this.#place();
  }

  #place() {
    if (this.scale === undefined) return;
    const [width, height] = this.view;
    const reach = (start, side, axis) => Math.min(Math.max(start, 20 - this.size[axis] * this.scale), side - 20);
    this.at = [reach(this.at[0], width, 0), reach(this.at[1], height, 1)];
    const cut = (this.slider.value / 1000) * width;
    for (const image of this.images) {
      image.style.width = `${this.size[0]}px`;
      image.style.height = `${this.size[1]}px`;
      image.style.transform = `translate(${this.at[0]}px, ${this.at[1]}px) scale(${this.scale})`;
      image.style.imageRendering = this.scale * devicePixelRatio >= 2 ? 'pixelated' : 'auto';
    }
    this.images[0].style.imageRendering = 'auto';
    const inside = Math.min(Math.max((cut - this.at[0]) / this.scale, 0), this.size[0]);
    this.images[0].style.clipPath = `inset(0 ${this.size[0] - inside}px 0 0)`;
    this.images[1].style.clipPath = `inset(0 0 0 ${inside}px)`;
    this.line.style.left = `${cut}px`;
    this.zoomed.textContent = `${Math.round(100 * this.scale * devicePixelRatio)}%`;
  }

  #listen() {
    const touched = new Map();
    const where = (event) => {
      const box = this.frame.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.frame.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoomTo(this.scale * Math.exp(-event.deltaY / 400), where(event));
    }, { passive: false });
    this.frame.addEventListener('pointerdown', (event) => {
      this.frame.setPointerCapture(event.pointerId);
      touched.set(event.pointerId, where(event));
      const isNear = Math.abs(where(event)[0] - (this.slider.value / 1000) * this.view[0]) < 24;
      if (touched.size === 1) this.isDividing = isNear;
    });
    this.frame.addEventListener('pointermove', (event) => {
      if (touched.has(event.pointerId)) this.#drag(touched, event.pointerId, where(event));
    });
    for (const name of ['pointerup', 'pointercancel']) {
      this.frame.addEventListener(name, (event) => touched.delete(event.pointerId));
    }
    this.addEventListener('keydown', (event) => {
      if (this.#press(event)) event.preventDefault();
    });
  }

  // One finger or the mouse moves the divider or the images; two fingers zoom.
  #drag(touched, id, point) {
    const before = touched.get(id);
    const others = [...touched].filter(([other]) => other !== id).map(([, place]) => place);
    touched.set(id, point);
    if (others.length) {
      const apart = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
      this.zoomTo((this.scale * apart(point)) / Math.max(apart(before), 1), others[0]);
    } else if (this.isDividing) {
      this.slider.value = (point[0] / this.view[0]) * 1000;
      this.#place();
    } else {
      this.move(point[0] - before[0], point[1] - before[1]);
    }
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [across, down] = arrows[event.key] || [0, 0];
    if (event.shiftKey && (across || down)) this.move(-40 * across, -40 * down);
    else if (across && event.target !== this.slider) {
      this.slider.value = Number(this.slider.value) + 25 * across;
      this.#place();
    } else if (event.key === '+' || event.key === '=') this.zoomTo(this.scale * 1.5);
    else if (event.key === '-') this.zoomTo(this.scale / 1.5);
    else if (event.key === '0') this.fit();
    else if (event.key === '1') this.zoomTo(1 / devicePixelRatio);
    else return false;
    return true;
  }
}

customElements.define('sr-compare', Compare);
