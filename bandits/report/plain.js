// A page whose charts have no switches.
figures.forEach(draw);
