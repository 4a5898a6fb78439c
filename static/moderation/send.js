// Forms to our own server, with the token that proves they come from our own page.
const token = document.querySelector("#filters [name=csrfmiddlewaretoken]").value;
const headers = { "X-CSRFToken": token };

export async function send(url, fields) {
  const answer = await fetch(url, { method: "POST", body: new URLSearchParams(fields), headers, redirect: "manual" });
  // The session is over, or wants its second factor again: the page itself leads there.
  if (answer.type === "opaqueredirect" || answer.status === 403) { location.reload(); throw new Error("403"); }
  if (answer.status >= 500) { throw new Error(String(answer.status)); }
  return answer;
}

export function sendLast(url) {
  fetch(url, { method: "POST", headers, keepalive: true });
}
