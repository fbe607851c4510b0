// What the page's own parts do in the browser: dropping files, the list of jobs, a run's curves.
// They know files, jobs and runs by ids and names alone, and ask our own routes below sr_jax/.

const OWNER = 'sr_jax_owner';
const OVER = ['done', 'failed', 'cancelled'];

let owner = '';

// A secret by which this browser finds its jobs again after a reload.
globalThis.srJaxOwner = () => {
  try {
    owner ||= localStorage.getItem(OWNER) || '';
  } catch { /* a browser without storage knows its jobs until the reload */ }
  if (!owner) {
    const bytes = crypto.getRandomValues(new Uint8Array(18));
    owner = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    try {
      localStorage.setItem(OWNER, owner);
    } catch { /* as above */ }
  }
  return owner;
};

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function button(text, label, act, look = 'secondary') {
  const made = make('button', { type: 'button', className: `sr-button ${look}`, textContent: text, onclick: act });
  made.setAttribute('aria-label', label);
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(`sr_jax/${path}`, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || 'the page does not answer: is it still open?');
  return told;
}

// Files that were dropped or chosen: they are sent at once, one after the other.
class Drop extends HTMLElement {
  #files = [];
  #queue = Promise.resolve();

  connectedCallback() {
    if (this.input) return;
    const kind = this.getAttribute('kind');
    this.input = make('input', { type: 'file', multiple: this.hasAttribute('several'), id: `${this.id}-input` });
    this.input.accept = kind === 'image' ? 'image/*,.tga,.pcx,.sgi,.dds,.qoi,.jp2' : 'video/*,.mkv,.y4m,.vob,.dv';
    this.input.onchange = () => { this.take(this.input.files); this.input.value = ''; };
    this.list = make('ul', { className: 'sr-files' });
    this.said = make('p', { className: 'sr-said' });
    this.said.setAttribute('role', 'alert');
    const label = make('label', { htmlFor: this.input.id, textContent: this.getAttribute('label') });
    this.zone = make('div', { className: 'sr-zone' }, label, this.input);
    for (const name of ['dragenter', 'dragover']) {
      this.zone.addEventListener(name, (event) => { event.preventDefault(); this.zone.classList.add('over'); });
    }
    for (const name of ['dragleave', 'drop']) {
      this.zone.addEventListener(name, (event) => { event.preventDefault(); this.zone.classList.remove('over'); });
    }
    this.zone.addEventListener('drop', (event) => this.take(event.dataTransfer.files));
    this.addEventListener('paste', (event) => this.take(event.clipboardData.files));
    this.append(this.zone, this.said, this.list);
  }

  get ids() {
    return this.#files.filter((file) => file.id).map((file) => file.id);
  }

  get isBusy() {
    return this.#files.some((file) => !file.id);
  }

  // The ids, once all that was dropped is sent.
  async settle() {
    let before;
    do {
      before = this.#queue;
      await before;
    } while (before !== this.#queue);
    return this.ids;
  }

  take(files) {
    this.said.textContent = '';
    let given = Array.from(files);
    if (!this.input.multiple && given.length) {
      given = given.slice(0, 1);
      for (const file of this.#files) file.row.remove();
      this.#files = [];
    }
    for (const file of given) {
      const entry = { bar: make('progress', { max: 1, value: 0 }) };
      entry.bar.setAttribute('aria-label', `${file.name} is being sent`);
      const remove = button('×', `Remove ${file.name}`, () => this.#remove(entry), 'plain');
      entry.row = make('li', {}, make('span', { textContent: file.name }), entry.bar, remove);
      this.list.append(entry.row);
      this.#files.push(entry);
      this.#queue = this.#queue.then(() => this.#send(file, entry));
    }
  }

  async #send(file, entry) {
    if (!this.#files.includes(entry)) return;
    try {
      entry.id = (await this.#put(file, entry)).id;
      entry.bar.remove();
    } catch (error) {
      this.#remove(entry);
      this.said.append(make('span', { textContent: error.message }));
    }
  }

  #put(file, entry) {
    const request = new XMLHttpRequest();
    entry.request = request;
    return new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => { entry.bar.value = event.loaded / event.total; };
      request.onerror = () => reject(new Error(`${file.name}: the page does not answer: is it still open?`));
      request.onabort = request.onerror;
      request.onload = () => {
        let told = {};
        try {
          told = JSON.parse(request.responseText);
        } catch { /* what stands in front of the page answered */ }
        if (request.status === 200) resolve(told);
        else reject(new Error(told.error || `${file.name} could not be sent (${request.status})`));
      };
      request.open('PUT', `sr_jax/files/${this.getAttribute('kind')}?name=${encodeURIComponent(file.name)}`);
      request.send(file);
    });
  }

  #remove(entry) {
    this.#files = this.#files.filter((other) => other !== entry);
    entry.row.remove();
    if (!entry.id) entry.request?.abort();
  }
}

const STATES = { waiting: 'waits', running: 'at work', stopping: 'is being ended', done: 'done', failed: 'failed', cancelled: 'ended' };

function bytes(count) {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), 3);
  return `${(count / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

function left(job) {
  if (!job.done || job.done >= job.count) return '';
  const seconds = Math.round((job.seconds / job.done) * (job.count - job.done));
  return seconds < 90 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

// One job: its row is made once, and changed where the job has.
class Row {
  constructor(list, job) {
    this.name = make('strong', { textContent: job.name });
    this.state = make('span', { className: 'sr-state' });
    this.bar = make('progress', { max: 1 });
    this.bar.setAttribute('aria-label', `${job.name}: how far it is`);
    this.notes = make('ul', { className: 'sr-notes' });
    this.buttons = make('span', { className: 'sr-buttons' });
    this.shown = make('div', { className: 'sr-shown' });
    const head = make('div', { className: 'sr-head' }, this.name, this.state, this.buttons);
    this.element = make('li', {}, head, this.bar, this.notes, this.shown);
    this.list = list;
    this.before = '';
  }

  update(job) {
    const place = job.state === 'waiting' && job.place ? `, ${job.place} before it` : '';
    const part = job.count ? `, ${job.done} of ${job.count}${left(job)}` : '';
    const time = job.seconds ? ` for ${job.seconds.toFixed(1)} s` : '';
    const said = { running: `${time}${part}`, done: ` in ${job.seconds.toFixed(1)} s`, waiting: place }[job.state] || '';
    this.state.textContent = STATES[job.state] + said;
    this.element.dataset.state = job.state;
    this.bar.hidden = OVER.includes(job.state) || job.state === 'waiting';
    if (job.count) this.bar.value = job.done / job.count; else this.bar.removeAttribute('value');
    const key = JSON.stringify([job.state, job.message, job.result]);
    if (key === this.before) return '';
    const isNew = this.before === '';
    const wasOver = this.over;
    this.before = key;
    this.over = OVER.includes(job.state);
    this.#fill(job);
    return this.over && !wasOver && !isNew ? `${job.name}: ${STATES[job.state]}. ${job.message}` : '';
  }

  #fill(job) {
    const notes = [job.message, ...(job.result.notes || [])].filter(Boolean);
    this.notes.replaceChildren(...notes.map((text) => make('li', { textContent: text })));
    this.#setButtons(job);
    if (this.over && job.state === 'done') this.#show(job);
  }

  #setButtons(job) {
    const state = `${job.state}`;
    if (this.buttons.dataset.state === state) return;
    this.buttons.dataset.state = state;
    const act = (action) => async () => { await ask(`jobs/${job.id}/${action}`, { method: 'POST' }); this.list.refresh(); };
    const made = [];
    if (job.result.file && state === 'done') {
      const { id, name, bytes: size } = job.result.file;
      const link = make('a', { href: `sr_jax/files/${id}`, download: name, className: 'sr-button primary', textContent: `Download (${bytes(size)})` });
      link.setAttribute('aria-label', `Download ${name}, ${bytes(size)}`);
      made.push(link);
    }
    if (job.result.before && state === 'done') made.push(button('Compare', `Compare ${job.name} before and after`, () => this.#compare(job)));
    if (!this.over && state !== 'stopping') made.push(button('Cancel', `Cancel ${job.name}`, act('cancel')));
    if (state === 'cancelled') made.push(button('Go on', `Go on with ${job.name}`, act('again')));
    if (state === 'failed') made.push(button('Again', `Try ${job.name} again`, act('again')));
    if (this.over) made.push(button('×', `Remove ${job.name}`, act('remove'), 'plain'));
    this.buttons.replaceChildren(...made);
  }

  #show(job) {
    if (this.shown.childElementCount) return;
    if (job.result.video) {
      const film = make('video', { controls: true, preload: 'metadata', src: `sr_jax/view/${job.result.video}` });
      film.setAttribute('aria-label', job.name);
      this.shown.append(film);
    } else if (job.result.picture) {
      this.shown.append(make('img', { src: `sr_jax/view/${job.result.picture}`, alt: `Sheet of ${job.name}` }));
    }
  }

  #compare(job) {
    if (this.shown.childElementCount) { this.shown.replaceChildren(); return; }
    const { before, after, width, height } = job.result;
    const view = document.createElement('sr-compare');
    Object.assign(view.dataset, { before, after, width, height, name: job.name });
    this.shown.append(view);
    view.focus();
  }
}

// The jobs of this browser in one tab; it finds them again after a reload.
class JobList extends HTMLElement {
  #rows = new Map();
  #timer = 0;

  connectedCallback() {
    if (this.list) { this.refresh(); return; }
    this.said = make('p', { className: 'sr-hidden' });
    this.said.setAttribute('aria-live', 'polite');
    this.problem = make('p', { className: 'sr-said' });
    this.problem.setAttribute('role', 'alert');
    const tab = this.getAttribute('tab');
    this.zip = make('a', { className: 'sr-button secondary', href: `sr_jax/zip/${srJaxOwner()}/${tab}`, download: `${tab}.zip`, textContent: 'Download all (zip)' });
    this.cancel = button('Cancel all', 'Cancel all jobs', () => this.#all('cancel'));
    this.clear = button('Remove all', 'Remove all jobs that are over', () => this.#all('remove'));
    for (const tool of [this.zip, this.cancel, this.clear]) tool.hidden = true;
    const heading = make('h2', { textContent: this.getAttribute('label') });
    this.whole = make('progress', { max: 1, className: 'sr-whole', hidden: true });
    this.whole.setAttribute('aria-label', 'How far all jobs are');
    this.count = make('span', { className: 'sr-state' });
    this.list = make('ul', { className: 'sr-jobs' });
    const tools = make('div', { className: 'sr-head' }, heading, this.count, make('span', { className: 'sr-buttons' }, this.zip, this.cancel, this.clear));
    this.append(tools, this.whole, this.said, this.problem, this.list);
    this.refresh();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  async refresh() {
    clearTimeout(this.#timer);
    let wait = 4000;
    try {
      const jobs = await ask(`jobs/${srJaxOwner()}/${this.getAttribute('tab')}`);
      this.problem.textContent = '';
      this.#update(jobs);
      if (jobs.some((job) => !OVER.includes(job.state))) wait = 400;
    } catch (error) {
      this.problem.textContent = error.message;
    }
    clearTimeout(this.#timer);
    if (this.isConnected) this.#timer = setTimeout(() => this.refresh(), document.hidden ? 2000 : wait);
  }

  #update(jobs) {
    const news = [];
    const keys = new Set(jobs.map((job) => job.id));
    for (const [id, row] of this.#rows) {
      if (!keys.has(id)) { row.element.remove(); this.#rows.delete(id); }
    }
    jobs.forEach((job, index) => {
      if (!this.#rows.has(job.id)) this.#rows.set(job.id, new Row(this, job));
      const row = this.#rows.get(job.id);
      news.push(row.update(job));
      if (this.list.children[index] !== row.element) this.list.insertBefore(row.element, this.list.children[index] || null);
    });
    const told = news.filter(Boolean).join(' ');
    if (told) this.said.textContent = told;
    const over = jobs.filter((job) => OVER.includes(job.state)).length;
    const parts = jobs.reduce((sum, job) => sum + (OVER.includes(job.state) ? 1 : job.count ? job.done / job.count : 0), 0);
    this.whole.hidden = over === jobs.length || jobs.length < 2;
    this.whole.value = jobs.length ? parts / jobs.length : 0;
    this.count.textContent = jobs.length ? `${over} of ${jobs.length} over` : 'nothing yet';
    this.zip.hidden = !jobs.some((job) => job.state === 'done' && job.result.file);
    this.cancel.hidden = over === jobs.length;
    this.clear.hidden = !over;
    this.jobs = jobs;
  }

  async #all(action) {
    const wanted = this.jobs.filter((job) => OVER.includes(job.state) === (action === 'remove'));
    for (const job of wanted) await ask(`jobs/${job.id}/${action}`, { method: 'POST' });
    this.refresh();
  }
}

// What a run has written of itself: a curve for each metric, and its last samples.
class Run extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    this.refresh();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  async refresh() {
    clearTimeout(this.#timer);
    const name = this.getAttribute('name');
    if (!name) return;
    try {
      const told = await ask(`runs/${encodeURIComponent(name)}`);
      const key = JSON.stringify(told);
      if (key !== this.before) this.#draw(name, told);
      this.before = key;
    } catch (error) {
      if (!this.before) this.replaceChildren(make('p', { textContent: `${name} has written nothing yet` }));
    }
    if (this.isConnected) this.#timer = setTimeout(() => this.refresh(), 2000);
  }

  #draw(name, told) {
    const names = Object.keys(told.curves).filter((key) => !/steps_per_second|data_wait/.test(key));
    const charts = names.map((key) => chart(key, told.curves[key]));
    const samples = told.samples.map((file) => make('img', {
      src: `sr_jax/runs/${encodeURIComponent(name)}/${file}`, alt: `Samples of ${name} after ${parseInt(file, 10)} steps`,
    }));
    this.replaceChildren(make('div', { className: 'sr-charts' }, ...charts), ...samples);
  }
}

function chart(name, points) {
  const [width, height, edge] = [280, 120, 6];
  const [steps, values] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const across = (step) => edge + ((step - steps[0]) / Math.max(steps.at(-1) - steps[0], 1)) * (width - 2 * edge);
  const down = (value) => height - edge - ((value - low) / (high - low || 1)) * (height - 2 * edge);
  const image = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  image.setAttribute('viewBox', `0 0 ${width} ${height}`);
  image.setAttribute('role', 'img');
  const said = `${name}: ${values.at(-1).toPrecision(4)} at step ${steps.at(-1)}, from ${low.toPrecision(3)} to ${high.toPrecision(3)}`;
  image.setAttribute('aria-label', said);
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  line.setAttribute('points', points.map(([step, value]) => `${across(step)},${down(value)}`).join(' '));
  image.append(line);
  return make('figure', {}, image, make('figcaption', { textContent: said }));
}

customElements.define('sr-drop', Drop);
customElements.define('sr-jobs', JobList);
customElements.define('sr-run', Run);
