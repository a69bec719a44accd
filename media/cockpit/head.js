// The head in three dimensions, from its URDF, moving as its joints do.

import * as THREE from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import URDFLoader from 'urdf-loader';

THREE.Cache.enabled = true; // many parts are one mesh
const TURN_RAD = 0.12;
const ZOOM = 1.15;
// After a picture that took so long (a processor draws it) come pauses of so many times that:
// the keys, and with them the stop, come first.
const SLOW_MS = 70;
const REST = 4;

/** Where the processor has to draw, it draws plainly and seldom: the head needs it more. */
function makeRenderer(canvas) {
  try {
    const options = { antialias: true, alpha: true, failIfMajorPerformanceCaveat: true };
    return { renderer: new THREE.WebGLRenderer({ canvas, ...options }), periodMs: 0 };
  } catch {
    return { renderer: new THREE.WebGLRenderer({ canvas, alpha: true }), periodMs: 90 };
  }
}

/** Round what a mesh file has in flat facets; edges stay where faces meet at more than 60 degrees. */
function smooth(geometry) {
  const [place, normal] = [geometry.getAttribute('position'), geometry.getAttribute('normal')];
  const corners = new Map();
  const facets = [];
  for (let i = 0; i < place.count; i += 1) {
    const key = [place.getX(i), place.getY(i), place.getZ(i)].map((v) => Math.round(v * 1e4)).join();
    if (!corners.has(key)) corners.set(key, []);
    corners.get(key).push(i);
    facets.push(new THREE.Vector3().fromBufferAttribute(normal, i));
  }
  for (const here of corners.values()) {
    for (const i of here) {
      const sum = new THREE.Vector3();
      for (const j of here) if (facets[i].dot(facets[j]) > 0.5) sum.add(facets[j]);
      normal.setXYZ(i, ...sum.normalize());
    }
  }
}

export class Head {
  /** Load a model, with its meshes if they lie elsewhere than beside it; rejects where there is no
   * WebGL, or the URDF cannot be read. */
  static async load(canvas, address, meshes = {}) {
    const { renderer, periodMs } = makeRenderer(canvas);
    const manager = new THREE.LoadingManager();
    manager.setURLModifier((url) => meshes[url.split('/').at(-1)] ?? url);
    const loader = new URDFLoader(manager);
    const loadMesh = loader.loadMeshCb;
    loader.loadMeshCb = (path, by, material, done) =>
      loadMesh(path, by, material, (mesh, error) => {
        if (mesh) mesh.userData.path = path;
        done(mesh, error);
      });
    const loaded = new Promise((resolve) => {
      manager.onLoad = resolve;
    });
    const robot = await loader.loadAsync(address.href);
    await loaded;
    const smoothed = new Map(); // by file; many parts are one mesh, and share it
    robot.traverse((part) => {
      const { path } = part.userData;
      if (smoothed.has(path)) part.geometry = smoothed.get(path);
      else if (part.geometry?.getAttribute('normal')) {
        smooth(part.geometry);
        if (path) smoothed.set(path, part.geometry);
      }
    });
    return new Head(canvas, renderer, robot, periodMs);
  }

  constructor(canvas, renderer, robot, periodMs) {
    this.periodMs = periodMs;
    this.drawnMs = 0;
    this.costMs = 0; // of a picture that holds the page up, from its begin to the next frame
    this.isNew = false;
    this.canvas = canvas;
    this.renderer = renderer;
    this.robot = robot;
    this.isOld = true;
    this.scene = new THREE.Scene();
    const stand = new THREE.Group(); // ROS: z up; three: y up
    stand.rotation.x = -Math.PI / 2;
    stand.add(robot);
    this.scene.add(stand);
    const key = new THREE.DirectionalLight(0xffffff, 1.5);
    key.position.set(1.2, 1.6, 0.8);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x566073, 1.3), key);
    this.camera = new THREE.PerspectiveCamera(32, 1, 0.01, 50);
    this.scene.updateMatrixWorld(true);
    const box = new THREE.Box3().setFromObject(robot);
    this.centre = box.getCenter(new THREE.Vector3());
    this.radius = box.getBoundingSphere(new THREE.Sphere()).radius;
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.minDistance = this.radius * 1.2;
    this.controls.maxDistance = this.radius * 12;
    this.controls.addEventListener('change', () => (this.isOld = true));
    this.face();
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  /** Look from the front, a little from above and aside. */
  face() {
    const away = new THREE.Vector3(3.1, 0.3, 0.55).normalize().multiplyScalar(this.radius * 2.9);
    this.camera.position.copy(this.centre).add(away);
    this.controls.target.copy(this.centre);
    this.controls.update();
    this.isOld = true;
  }

  key(event) {
    const turns = {
      ArrowLeft: [-TURN_RAD, 0],
      ArrowRight: [TURN_RAD, 0],
      ArrowUp: [0, -TURN_RAD],
      ArrowDown: [0, TURN_RAD],
    };
    const zooms = { '+': 1 / ZOOM, '=': 1 / ZOOM, '-': ZOOM };
    const place = new THREE.Spherical().setFromVector3(
      this.camera.position.clone().sub(this.controls.target),
    );
    if (event.key in turns) {
      place.theta += turns[event.key][0];
      place.phi += turns[event.key][1];
    } else if (event.key in zooms) place.radius *= zooms[event.key];
    else if (event.key === '0') return this.face();
    else return undefined;
    event.preventDefault();
    place.makeSafe();
    this.camera.position.setFromSpherical(place).add(this.controls.target);
    this.controls.update();
    return undefined;
  }

  move(names, positions) {
    names.forEach((name, place) => {
      if (positions[place] !== null && this.robot.setJointValue(name, positions[place])) {
        this.isOld = true;
      }
    });
  }

  draw(nowMs) {
    if (this.isNew) {
      const tookMs = nowMs - this.drawnMs;
      this.costMs = tookMs > SLOW_MS ? tookMs : 0;
      this.isNew = false;
    }
    if (nowMs - this.drawnMs < Math.max(this.periodMs, REST * this.costMs)) return;
    const ratio = this.periodMs ? 1 : Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const isResized = this.width !== width || this.height !== height;
    if (isResized) {
      [this.width, this.height] = [width, height];
      this.renderer.setPixelRatio(ratio);
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / Math.max(1, height);
      this.camera.updateProjectionMatrix();
    }
    if (!isResized && !this.isOld) return;
    this.isOld = false;
    this.drawnMs = nowMs;
    this.isNew = true;
    this.renderer.render(this.scene, this.camera);
  }
}
