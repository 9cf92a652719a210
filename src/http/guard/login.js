// Logs in without leaving the page, so that the key of the session can be stored: unlike the cookie, other ports of this
// host do not get it (docs/security.md, "Sessions"). Without scripts the form works as well.
(() => {
  const form = document.querySelector('form');
  const name = form.dataset.key;
  const canStore = () => {
    try {
      // The key of a previous session is no longer needed.
      localStorage.removeItem(name);
      localStorage.setItem(name, '');
      localStorage.removeItem(name);
      return true;
    } catch {
      return false;
    }
  };
  if (!canStore()) return;
  const showError = (text) => {
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
  let isBusy = false;
  const logIn = async (fields) => {
    if (isBusy) return;
    isBusy = true;
    try {
      const response = await fetch(form.action, {
        method: 'POST',
        headers: { accept: 'application/json' },
        body: new URLSearchParams(fields),
      });
      const body = await response.json();
      if (response.ok) {
        localStorage.setItem(name, body.key);
        location.replace(body.next);
      } else {
        showError(body.detail);
      }
    } catch {
      showError('The server does not answer. Try again in a moment.');
    } finally {
      isBusy = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    logIn([...new FormData(form)]);
  });
  // A login link. Browsers never send the part after the # themselves.
  const code = location.hash.slice(1);
  if (/^[\w-]{43}$/.test(code)) {
    history.replaceState(null, '', location.pathname + location.search);
    logIn([['code', code], ['next', form.elements.next.value]]);
  }
})();
