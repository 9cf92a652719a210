// Logs in without leaving the page, so that a value which no other port of this host ever gets is kept for what the pages send
// (docs/security.md, "Sessions"). Where this does not run, the form works without it.
(() => {
  const form = document.querySelector('form');
  const name = form.dataset.key;
  const canKeep = () => {
    try {
      // Whoever was here before has logged out, or will.
      localStorage.removeItem(name);
      localStorage.setItem(name, '');
      localStorage.removeItem(name);
      return true;
    } catch {
      return false;
    }
  };
  if (!canKeep()) return;
  const say = (text) => {
    let alert = document.getElementById('token-error');
    if (!alert) {
      alert = document.createElement('p');
      alert.id = 'token-error';
      alert.className = 'login-error';
      alert.setAttribute('role', 'alert');
      form.elements.token.after(alert);
      form.elements.token.setAttribute('aria-invalid', 'true');
      form.elements.token.setAttribute('aria-describedby', 'token-error token-help');
    }
    alert.textContent = text;
    document.title = `Error: Log in · Runtrail`;
    form.elements.token.focus();
    form.elements.token.select();
  };
  let busy = false;
  const send = async (fields) => {
    if (busy) return;
    busy = true;
    try {
      const answer = await fetch(form.action, {
        method: 'POST',
        headers: { accept: 'application/json' },
        body: new URLSearchParams(fields),
      });
      const said = await answer.json();
      if (answer.ok) {
        localStorage.setItem(name, said.key);
        location.replace(said.next);
      } else {
        say(said.detail);
      }
    } catch {
      say("Can't reach the server. Try again in a moment.");
    } finally {
      busy = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send([...new FormData(form)]);
  });
  // A link that logs in, as the server prints it. What is behind the # is never sent by itself.
  const code = location.hash.slice(1);
  if (/^[\w-]{43}$/.test(code)) {
    history.replaceState(null, '', location.pathname + location.search);
    send([['code', code], ['next', form.elements.next.value]]);
  }
})();
