'use strict';
const form = document.getElementById('form');
const answer = document.getElementById('answer');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  try {
    const response = await fetch(form.dataset.call, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: location.hash.slice(1), ...fields }),
    });
    if (response.ok) {
      form.hidden = true;
      history.replaceState(null, '', location.pathname);
      answer.textContent = form.dataset.done;
    } else {
      answer.textContent = (await response.json()).detail;
    }
  } catch {
    answer.textContent = 'The server could not be reached. Try again.';
  }
});
