// The counter's camera, where the browser can read codes by itself. Everything works without it.
"use strict";

const scan = document.querySelector("[data-scan]");
const camera = document.querySelector("[data-camera]");
const field = document.querySelector("#code");

const stop = () => {
  for (const track of camera.srcObject ? camera.srcObject.getTracks() : []) track.stop();
  camera.srcObject = null;
  camera.hidden = true;
};

const look = async (detector) => {
  while (camera.srcObject) {
    const found = await detector.detect(camera).catch(() => []);
    if (found.length) {
      stop();
      field.value = found[0].rawValue;
      field.form.submit();
      return;
    }
    await new Promise((done) => window.setTimeout(done, 150));
  }
};

const begin = async () => {
  if (camera.srcObject) return stop();
  try {
    const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
    camera.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    camera.hidden = false;
    await camera.play();
    look(detector);
  } catch {
    stop();
    scan.hidden = true; // no camera, or not allowed: the code is typed
  }
};

if (scan && "BarcodeDetector" in window && navigator.mediaDevices) {
  scan.hidden = false;
  scan.addEventListener("click", begin);
}
