// Who works here. Where the services ask for tokens, the page gets one from the issuer that they name (RFC 9728): OAuth 2.0
// code flow with PKCE (RFC 7636), the token kept in this tab alone and sent in one header. Where the issuer gives a token to
// renew it with, it is renewed in time, and nobody who fills in a form is sent away.
import { Problem } from "./problem.js";
import { sha256 } from "./sha256.js";
import { t } from "./words.js";

const TOO_SOON_MS = 15_000;
const IN_TIME_MS = 30_000;

/** What a librarian does here. What looks into the machinery is for others. */
const SCOPES = "openid books:read books:write";
const METADATA = "/.well-known/oauth-protected-resource";

/** What outlives the way to the issuer and back, or a reload: never longer than the tab. */
const tab = {
  get(name) { try { return JSON.parse(sessionStorage.getItem(`bookstock.${name}`)); } catch { return null; } },
  set(name, value) { try { sessionStorage.setItem(`bookstock.${name}`, JSON.stringify(value)); } catch { /* a private window */ } },
  forget(name) { try { sessionStorage.removeItem(`bookstock.${name}`); } catch { /* a private window */ } },
};

let resource = null;
let grant = null;
let renewing = null;
let timer = null;

/** Whether somebody is logged in here. */
export const isLoggedIn = () => grant !== null;

/** The header that opens the services; nothing where they are open. */
export const authorization = () => (grant === null ? {} : { Authorization: `Bearer ${grant.token}` });

/** Resolves when the services can be asked. Where they want a token and there is none, the browser goes to the login. */
export async function enter() {
  const told = await fetch(METADATA, { cache: "no-store" }).catch(() => null);
  // A server that cannot be reached now is told by whoever asks it next.
  if (!told?.ok) return;
  resource = await told.json();
  const answer = new URLSearchParams(location.search);
  if (answer.has("state")) await comeBack(answer);
  grant ??= tab.get("grant");
  if (grant !== null && grant.until < Date.now()) await renewed();
  if (grant === null || grant.until < Date.now()) await goToLogin();
  renewInTime();
}

/** The token in the header `sent` was refused: it has expired, or the issuer has withdrawn its key. Resolves when there is another. */
export async function loginAgain(problem, sent) {
  if (grant !== null && sent.Authorization !== authorization().Authorization) return;
  // A new one that is refused at once would be refused for ever.
  if (isNew()) throw new Problem({ status: 401, name: "token-invalid", title: t("refused"), detail: problem.detail });
  if (await renewed()) return;
  grant = null;
  tab.forget("grant");
  await enter();
}

const isNew = () => grant !== null && Date.now() - grant.since < TOO_SOON_MS;

/** Whether there is a new token without anybody having to log in. */
export function renewed() {
  if (!grant?.renewal || isNew()) return Promise.resolve(false);
  // Each renewal takes the token of the one before, which is good for one.
  renewing ??= exchange({ grant_type: "refresh_token", refresh_token: grant.renewal }).then(() => true, () => false).finally(() => { renewing = null; });
  return renewing;
}

function renewInTime() {
  clearTimeout(timer);
  if (!grant?.renewal) return;
  const inTime = Math.min(IN_TIME_MS, (grant.until - grant.since) / 2);
  timer = setTimeout(() => renewed(), Math.max(0, grant.until - inTime - Date.now()));
}

/** Forgets the token and ends the session at the issuer. */
export async function logOut() {
  const { end_session_endpoint: end } = await issuer();
  const parameters = new URLSearchParams({ client_id: resource.page_client_id, post_logout_redirect_uri: here(), ...(grant?.identity ? { id_token_hint: grant.identity } : {}) });
  tab.forget("grant");
  grant = null;
  location.assign(end ? `${end}?${parameters}` : here());
}

const here = () => `${location.origin}/`;

/** The issuer's description of itself (OpenID Connect Discovery). */
async function issuer() {
  const name = resource.authorization_servers[0];
  return json(`${name.replace(/\/$/, "")}/.well-known/openid-configuration`);
}

async function json(url, request) {
  try {
    const answer = await fetch(url, { cache: "no-store", ...request });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error_description ?? body.error ?? String(answer.status));
    return body;
  } catch (error) {
    throw new Problem({ name: "issuer", title: t("noLogin"), detail: t("noLoginText", { why: error.message }) });
  }
}

async function goToLogin() {
  const { authorization_endpoint: login } = await issuer();
  const [verifier, state] = [random(), random()];
  tab.set("way", { verifier, state, view: location.hash });
  const parameters = new URLSearchParams({
    response_type: "code", client_id: resource.page_client_id, redirect_uri: here(), state,
    scope: SCOPES,
    code_challenge: base64url(digest(verifier)), code_challenge_method: "S256",
  });
  location.assign(`${login}?${parameters}`);
  // The page is left; nothing after this is to happen in it.
  await new Promise(() => {});
}

/** The issuer sent the browser back with a code, or with a reason why not. */
async function comeBack(answer) {
  const way = tab.get("way");
  tab.forget("way");
  history.replaceState(null, "", `/${way?.view ?? ""}`);
  // Somebody else's answer, or one that was used before, is no answer to us (RFC 9700, section 4.7).
  if (way === null || answer.get("state") !== way.state) return;
  if (answer.has("error")) {
    const why = answer.get("error_description") ?? answer.get("error");
    throw new Problem({ name: "issuer", title: t("noLogin"), detail: t("noLoginText", { why }) });
  }
  await exchange({ grant_type: "authorization_code", code: answer.get("code"), redirect_uri: here(), code_verifier: way.verifier });
}

/** Gives the issuer what it gave, and takes the token for it. */
async function exchange(parameters) {
  const { token_endpoint: place } = await issuer();
  const given = await json(place, { method: "POST", body: new URLSearchParams({ client_id: resource.page_client_id, ...parameters }) });
  const since = Date.now();
  grant = { token: given.access_token, identity: given.id_token ?? grant?.identity, renewal: given.refresh_token ?? grant?.renewal, since, until: since + (given.expires_in ?? 300) * 1000 };
  tab.set("grant", grant);
  renewInTime();
}

const digest = (text) => Uint8Array.from(sha256(new TextEncoder().encode(text)).match(/../g), (pair) => Number.parseInt(pair, 16));

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
