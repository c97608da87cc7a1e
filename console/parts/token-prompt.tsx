/** Asked when the core answers 401. The token stays in this tab. */
import { useState } from 'preact/hooks';

export interface TokenPromptProps {
  /** A token was given, and the core refused it. */
  readonly isWrong: boolean;
  readonly onToken: (token: string) => void;
}

export function TokenPrompt({ isWrong, onToken }: TokenPromptProps) {
  const [token, setToken] = useState('');
  return (
    <main class="door">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() !== '') onToken(token.trim());
        }}
      >
        <h2>This core is locked</h2>
        <p>
          <label for="token">
            Operator token, as set by <code>http.token</code>
          </label>
        </p>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          value={token}
          aria-invalid={isWrong}
          aria-describedby="token-fault"
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <p id="token-fault" class="fault" role="alert">
          {isWrong ? 'The core does not take this token.' : ''}
        </p>
        <button type="submit" class="main">
          Unlock
        </button>
      </form>
    </main>
  );
}
