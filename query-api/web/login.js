// Who works here. Where the services ask for tokens, the page gets one from the issuer that they name (RFC 9728): OAuth 2.0
// code flow with PKCE (RFC 7636), the token kept in this tab alone and sent in one header.
import { Problem } from "./problem.js";
import { sha256 } from "./sha256.js";
import { t } from "./words.js";

const TOO_SOON_MS = 15_000;
const METADATA = "/.well-known/oauth-protected-resource";

/** What outlives the way to the issuer and back, or a reload: never longer than the tab. */
const tab = {
  get(name) { try { return JSON.parse(sessionStorage.getItem(`bookstock.${name}`)); } catch { return null; } },
  set(name, value) { try { sessionStorage.setItem(`bookstock.${name}`, JSON.stringify(value)); } catch { /* a private window */ } },
  forget(name) { try { sessionStorage.removeItem(`bookstock.${name}`); } catch { /* a private window */ } },
};

let resource = null;
let grant = null;

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
  grant = tab.get("grant");
  const answer = new URLSearchParams(location.search);
  if (answer.has("state")) await comeBack(answer);
  if (grant === null || grant.until < Date.now()) await goToLogin();
}

/** The token was refused: it has expired, or the issuer has withdrawn its key. */
export async function loginAgain(problem) {
  // A new one that is refused at once would be refused for ever.
  if (grant !== null && Date.now() - grant.since < TOO_SOON_MS) throw new Problem({ status: 401, name: "token-invalid", title: t("refused"), detail: problem.detail });
  grant = null;
  tab.forget("grant");
  await enter();
}

/** Forgets the token and ends the session at the issuer. */
export async function logOut() {
  const { end_session_endpoint: end } = await issuer();
  const parameters = new URLSearchParams({ id_token_hint: grant.identity, post_logout_redirect_uri: here() });
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
    scope: ["openid", ...resource.scopes_supported].join(" "),
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
  const { token_endpoint: exchange } = await issuer();
  const body = new URLSearchParams({
    grant_type: "authorization_code", code: answer.get("code"), redirect_uri: here(), client_id: resource.page_client_id, code_verifier: way.verifier,
  });
  const given = await json(exchange, { method: "POST", body });
  grant = { token: given.access_token, identity: given.id_token, since: Date.now(), until: Date.now() + (given.expires_in ?? 300) * 1000 };
  tab.set("grant", grant);
}

const digest = (text) => Uint8Array.from(sha256(new TextEncoder().encode(text)).match(/../g), (pair) => Number.parseInt(pair, 16));

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
