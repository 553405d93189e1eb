// Requests to the server of this page.

const TOKEN = "kol-token";

/** Shows this token from now on; none with null. It is kept until the tab is closed. */
export const login = (token) => {
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
};

/** Whether there is a token to show. */
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

/** What the server answers to a path, shown the token that there is. */
export const request = (path, signal) => {
  const token = sessionStorage.getItem(TOKEN);
  return fetch(path, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal,
  });
};

/** Why an answer is none, in the server's words if it has some. */
export const reasonOf = async (response) => {
  const said = await response.json().catch(() => null);
  const { code, message, detail, help } = said?.error ?? said ?? {};
  return code ? `${code}: ${message ?? detail}. ${help}` : `the server answered ${response.status}`;
};

/** Waits, or until this signal. */
export const wait = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});
