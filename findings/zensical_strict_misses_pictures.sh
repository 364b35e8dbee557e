#!/usr/bin/env bash
# zensical 0.0.73 beside mkdocs 1.6.1
#
# Expected: `zensical build --strict`, which stops at a link to a page or a heading that is not there, also stops at a picture or a download that is not
#           there, as `mkdocs build --strict` does with the same pages.
# Happens:  only links to pages and headings are checked. A missing picture and a missing download pass as "No issues found", exit status 0.
# Hurts:    a site that moves from MkDocs to its successor loses this check without a word: renamed pictures are noticed by readers.
# Instead:  check pictures and downloads of the sources in a test of your own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "zensical==0.0.73" "mkdocs==1.6.1" "click==8.5.1"
export PATH="$folder/venv/bin:$PATH" NO_COLOR=1
mkdir docs
printf '[project]\nsite_name = "pages"\n' >zensical.toml
printf 'site_name: pages\n' >mkdocs.yml

# What a page says after its title, and whether each builder accepts it.
check() {
    printf '# Title\n\n%s\n' "$2" >docs/index.md
    zensical build --clean --strict >/dev/null 2>&1 && new=accepts || new=refuses
    mkdocs build --strict >/dev/null 2>&1 && old=accepts || old=refuses
    printf '%-20s zensical %s, mkdocs %s\n' "$1:" "$new" "$old"
    test "$new $old" = "$3" || { echo "no longer as described"; exit 1; }
}
zensical --version
mkdocs --version | cut -d' ' -f1-3
check "nothing wrong" "Text." "accepts accepts"
check "missing page" "[text](other.md)" "refuses refuses"
check "missing picture" "![text](picture.png)" "accepts refuses"
check "missing download" "[text](table.csv)" "accepts refuses"
echo "as described"
