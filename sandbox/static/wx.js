// A stand-in for WeCom's JS-SDK (jweixin, jwxwork), for pages in the toolbar of the sandbox's rep's client.
// The page speaks with the client around it; whether it may is decided by the sandbox (js_client.py).
"use strict";

(() => {
  if (window.wx && window.wx.sandbox) return; // both of WeCom's scripts are this one

  const PATIENCE_MS = 10000;
  const KNOWN = ["getContext", "getCurExternalContact", "getCurExternalChat", "sendChatMessage"];
  const client = new URL(document.currentScript.src).origin;
  const waiting = new Map();
  const whenReady = [];
  const whenWrong = [];
  let asked = 0;
  let leave = "";
  let ready = null;
  let wrong = null;

  // --- speaking with the client -----------------------------------------------------------------------------

  function ask(call, body) {
    asked += 1;
    const number = asked;
    return new Promise((resolve) => {
      if (window.parent === window) return resolve(null);
      waiting.set(number, resolve);
      setTimeout(() => answer(number, null), PATIENCE_MS);
      window.parent.postMessage({ sandbox: call, number, url: location.href, leave, ...body }, client);
    });
  }

  function answer(number, said) {
    const resolve = waiting.get(number);
    waiting.delete(number);
    if (resolve) resolve(said);
  }

  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.origin === client) answer(event.data.number, event.data.said);
  });

  const plain = (settings) => JSON.parse(JSON.stringify(settings || {})); // a function cannot travel
  const call = (fn, said) => { if (typeof fn === "function") fn(said); };
  const nobody = (name) => ({ errMsg: `${name}:fail not in WeCom` });

  // --- what the page may use ----------------------------------------------------------------------------------

  async function config(settings) {
    const said = (await ask("js_config", { settings: plain(settings) })) || nobody("config");
    if (said.errMsg !== "config:ok") {
      wrong = said;
      return whenWrong.forEach((fn) => fn(said));
    }
    leave = said.leave;
    ready = said;
    whenReady.splice(0).forEach((fn) => fn());
  }

  async function agentConfig(settings) {
    const said = (await ask("js_agent_config", { settings: plain(settings) })) || nobody("agentConfig");
    const { leave: given, ...rest } = said;
    if (given) leave = given;
    call(given ? settings.success : settings.fail, rest);
    call(settings.complete, rest);
  }

  async function invoke(name, settings, callback) {
    const tapped = navigator.userActivation ? navigator.userActivation.isActive : true;
    const said = await ask("js_invoke", { function: name, settings: plain(settings), tapped });
    call(callback, said || { err_msg: `${name}:fail not in WeCom` });
  }

  window.wx = {
    sandbox: true,
    config,
    agentConfig,
    invoke,
    ready: (fn) => { if (ready) fn(); else whenReady.push(fn); },
    error: (fn) => { whenWrong.push(fn); if (wrong) fn(wrong); },
    checkJsApi: ({ jsApiList, success }) => {
      call(success, { errMsg: "checkJsApi:ok", checkResult: Object.fromEntries(jsApiList.map((one) => [one, KNOWN.includes(one)])) });
    },
  };
  window.jWeixin = window.wx;

  // --- the newer form: one call with both signatures, then a function for each thing, giving promises -----------

  let grant = null;
  let refuse = null;
  const registered = new Promise((resolve, reject) => { grant = resolve; refuse = reject; });
  registered.catch(() => {}); // whoever calls something hears of it there

  async function register({ corpId, agentId, jsApiList, getConfigSignature, getAgentConfigSignature, onConfigFail, onAgentConfigFail }) {
    const url = location.href.split("#")[0];
    const signed = async (get) => { const { timestamp, nonceStr, signature } = await get(url); return { timestamp, nonceStr, signature, jsApiList }; };
    const first = (await ask("js_config", { settings: { beta: true, appId: corpId, ...(await signed(getConfigSignature)) } })) || nobody("config");
    if (first.errMsg !== "config:ok") { call(onConfigFail, first); return refuse(first); }
    leave = first.leave;
    if (getAgentConfigSignature) {
      const mine = { corpid: corpId, agentid: agentId, ...(await signed(getAgentConfigSignature)) };
      const { leave: given, ...said } = (await ask("js_agent_config", { settings: mine })) || nobody("agentConfig");
      if (!given) { call(onAgentConfigFail, said); return refuse(said); }
      leave = given;
    }
    grant();
  }

  function one(name) {
    return async ({ success, fail, complete, ...settings } = {}) => {
      const tapped = navigator.userActivation ? navigator.userActivation.isActive : true;
      await registered;
      const { err_msg: errMsg, ...said } = (await ask("js_invoke", { function: name, settings: plain(settings), tapped })) || { err_msg: `${name}:fail not in WeCom` };
      const found = { ...said, errMsg };
      const good = errMsg === `${name}:ok`;
      call(good ? success : fail, found);
      call(complete, found);
      if (!good) throw found;
      return found;
    };
  }

  window.ww = { register, ...Object.fromEntries(KNOWN.map((name) => [name, one(name)])) };
})();
