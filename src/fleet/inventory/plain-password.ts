/** Whether a url carries a password: in its user part, as a parameter, or as a setting. */
export function holdsPassword(url: string): boolean {
  if (/^postgres(?:ql)?:\/\//.test(url)) {
    return /^[a-z]+:\/\/[^/?#@]*:[^/?#]+@/.test(url) || /[?&]password=[^&]/.test(url);
  }
  return /(?:^|\s)password\s*=\s*\S/.test(url);
}
